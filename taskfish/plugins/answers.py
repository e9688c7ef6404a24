"""From a source's raw reply to an Answer, and what its status means for the caller."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import JsonValue

from taskfish.errors import (
    AbortRefusedError,
    CredentialsRefusedError,
    PauseRefusedError,
    PermanentError,
    PluginTaskGoneError,
    PrivilegeMissingError,
    SourceBusyError,
    SourceUnreachableError,
    TransientError,
    UnreadableAnswerError,
)
from taskfish.plugins.transport import ANSWER_LIMIT, Reply
from taskfish.redfish.foreign_messages import message_objects
from taskfish.redfish.json_values import finite_number, refuse_constant
from taskfish.redfish.links import Translate, walk_links
from taskfish.redfish.messages import base_message, error_body, success_body
from taskfish.redfish.task import Answer

KEPT_HEADERS = ("Content-Type", "ETag", "Location", "Retry-After", "Allow")
"""What goes on of a source's headers (contracts.md 2)."""
MAX_DEPTH = 64
"""How deeply nested a body may be; one that is deeper stays text."""
GONE = frozenset({404, 410})
_BUSY = frozenset({429, 503})
_OUT_OF_REACH = frozenset({502, 504})
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?")
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_CREDENTIAL_KEYS = frozenset(
    {
        "AccessDenied",
        "AccessUnauthorized",
        "InsufficientPrivilege",
        "NoValidSession",
        "PasswordChangeRequired",
        "ResourceAtUriUnauthorized",
        "SessionTerminated",
        "UnauthorizedLoginAttempt",
    }
)


def answer_of(reply: Reply, translate: Translate, location: Translate) -> Answer:
    """Return a reply as the gateway keeps it: links and Location in our words."""
    headers = {
        name: reply.headers[name.lower()]
        for name in KEPT_HEADERS
        if name.lower() in reply.headers
    }
    if "Location" in headers:
        headers["Location"] = location(headers["Location"]) or headers["Location"]
    body = walk_links(_body(reply), translate)
    return Answer(status=reply.status, headers=headers, body=body)


def whole(reply: Reply, name: str) -> Reply:
    """Return a reply that is not cut; raise `UnreadableAnswerError` if it is."""
    if reply.cut:
        raise UnreadableAnswerError(
            f"source {name} answered {reply.uri} with more than {ANSWER_LIMIT} bytes"
        )
    return reply


def refuse_credentials(answer: Answer, name: str) -> None:
    """Raise if an answer refuses our user name and password, or their privileges.

    A 403 that gives another reason (bmcweb: PropertyNotWritable) is the source's own.
    """
    if answer.status == 401:
        raise CredentialsRefusedError(
            f"source {name} answered 401 to our credentials:"
            " correct the UserName and Password of its AggregationSource"
        )
    if answer.status == 403 and _about_credentials(answer):
        raise PrivilegeMissingError(
            f"source {name} answered 403: the account of its AggregationSource"
            " lacks the privilege for this"
        )


def refuse_unsent(answer: Answer, name: str) -> None:
    """Raise for an answer to a change which says that it was not carried out.

    503 and 429 are that only with a Retry-After; without, they are the answer.
    """
    refuse_credentials(answer, name)
    if answer.status in _BUSY and answer.header("Retry-After") is not None:
        raise busy(answer, name)
    if not 200 <= answer.status < 300 and not 400 <= answer.status < 600:
        raise UnreadableAnswerError(
            f"source {name} answered a change with {answer.status};"
            " changes are not redirected: check its HostName"
        )


def refuse_unread(answer: Answer, name: str) -> None:
    """Raise unless a GET brought something that its caller may have as an answer.

    A gateway time-out, say, with an explanation in JSON goes on as it is.
    """
    refuse_credentials(answer, name)
    if not 200 <= answer.status < 600:
        raise UnreadableAnswerError(f"source {name} answered with {answer.status}")
    if isinstance(answer.body, dict):
        return
    if answer.status in _BUSY:
        raise busy(answer, name)
    if answer.status in _OUT_OF_REACH:
        raise out_of_reach(answer, name)


def refuse_abort(answer: Answer, name: str) -> None:
    """Raise unless an abort was taken on."""
    text = f"source {name} answered the abort with {answer.status}"
    _refuse_control(answer, name, AbortRefusedError(text))


def refuse_pause(answer: Answer, verb: str, name: str) -> None:
    """Raise unless `verb`, "pause" or "resume", was taken on."""
    text = f"source {name} answered the request to {verb} with {answer.status}"
    _refuse_control(answer, name, PauseRefusedError(text))


def _refuse_control(answer: Answer, name: str, refusal: PermanentError) -> None:
    """Raise for an answer to what was asked of a task, `refusal` if it means no."""
    refuse_credentials(answer, name)
    if answer.succeeded:
        return
    if answer.status in GONE:
        raise PluginTaskGoneError(f"source {name} does not know the task any more")
    if answer.status in _BUSY:
        raise busy(answer, name)
    if answer.status in _OUT_OF_REACH:
        raise out_of_reach(answer, name)
    raise refusal


def passing_fault(answer: Answer, name: str) -> TransientError | None:
    """Return the error of an answer to a poll that says nothing about the task.

    A 5xx that explains itself in Redfish's words may be the task's end; a bare one,
    and any 429, 502, 503 or 504, is the way there.
    """
    if answer.status in _BUSY:
        return busy(answer, name)
    if answer.status in _OUT_OF_REACH:
        return out_of_reach(answer, name)
    explained = isinstance(answer.body, dict) and (
        "error" in answer.body or "TaskState" in answer.body
    )
    return (
        out_of_reach(answer, name) if answer.status >= 500 and not explained else None
    )


def busy(answer: Answer, name: str) -> SourceBusyError:
    """Return the error of a source that will answer later."""
    return SourceBusyError(
        f"source {name} is busy (HTTP {answer.status})",
        retry_after=retry_after(answer),
    )


def out_of_reach(answer: Answer, name: str) -> SourceUnreachableError:
    """Return the error of a source of which only something in front answers."""
    return SourceUnreachableError(
        f"source {name} answers only HTTP {answer.status}: check whether it is up",
        retry_after=retry_after(answer),
    )


def retry_after(answer: Answer) -> float | None:
    """Return Retry-After in seconds from now, never negative; None without one."""
    value = (answer.header("Retry-After") or "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _about_credentials(answer: Answer) -> bool:
    ids = [item.get("MessageId") for item in message_objects(answer.body)]
    ids.append(_objects(_objects(answer.body).get("error")).get("code"))
    keys = {str(item).rpartition(".")[2] for item in ids if item} - {"GeneralError"}
    return not keys or bool(keys & _CREDENTIAL_KEYS)


def _objects(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _body(reply: Reply) -> JsonValue:
    """Return the JSON value, text that is not JSON as a string, None for nothing."""
    if reply.cut:
        text = (
            f"The source's answer was longer than {ANSWER_LIMIT} bytes and is left out."
        )
        if 200 <= reply.status < 300:
            return success_body(base_message("Success", text=text))
        return error_body(base_message("GeneralError", text=text))
    text = reply.content.decode("utf-8-sig", "replace")
    if not text.strip():
        return None
    is_json = "json" in reply.headers.get("content-type", "").lower()
    if not is_json and not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return _parsed(text)
    except (ValueError, RecursionError):
        return text


def _parsed(text: str) -> JsonValue:
    """Parse JSON as every later reader will have it; ValueError if one could not."""
    value: JsonValue = json.loads(
        text, parse_constant=refuse_constant, parse_float=finite_number
    )
    if _LONE_SURROGATE.search(text):
        value = json.loads(_paired(json.dumps(value, ensure_ascii=False)))
    if _is_deeper(value, MAX_DEPTH):
        raise ValueError("nested too deeply")
    return value


def _paired(text: str) -> str:
    """Return text whose lone surrogates, which no encoding takes, are replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_deeper(value: JsonValue, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            item
            for holder in level
            if isinstance(holder, dict | list)
            for item in (holder.values() if isinstance(holder, dict) else holder)
        ]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)
