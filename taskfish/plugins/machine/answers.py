"""The answers of an emulated machine, good and bad, in Redfish's words."""

import json

from pydantic import JsonValue

from taskfish.redfish.messages import (
    BASE,
    Message,
    base_message,
    error_body,
    status_of,
)
from taskfish.redfish.task import Answer

Body = dict[str, JsonValue]


class RefusedError(Exception):
    """The request is not carried out; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"refused with {answer.status}")
        self.answer = answer


class DroppedConnectionError(Exception):
    """The connection ends without an answer."""


def refused(
    message: Message, status: int | None = None, **headers: str
) -> RefusedError:
    """Return the refusal that `message` explains, with the status it has by itself."""
    return RefusedError(
        Answer(
            status=status or status_of(message),
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            body=error_body(message),
        )
    )


def refused_with(status: int) -> RefusedError:
    """Return a refusal with this status, in the words that fit it best."""
    if status in (429, 503):
        message = base_message("ServiceTemporarilyUnavailable", "1")
        return refused(message, status, Retry_After="1")
    key = {
        401: "AccessUnauthorized",
        409: "ResourceInUse",
        412: "PreconditionFailed",
        413: "PayloadTooLarge",
    }.get(status, "OperationFailed")
    return refused(base_message(key), status)


def no_such(uri: str) -> RefusedError:
    """Return the 404 for a URI."""
    return refused(base_message("ResourceMissingAtURI", uri))


def not_allowed(allow: str) -> RefusedError:
    """Return the 405 with what is allowed."""
    return refused(base_message("OperationNotAllowed"), Allow=allow)


def unauthorized() -> RefusedError:
    """Return the 401 for missing or wrong credentials."""
    message = base_message("AccessUnauthorized")
    return refused(message, WWW_Authenticate='Basic realm="emulator"')


def done() -> Answer:
    """Return the answer of a change that has nothing to show."""
    return Answer(status=204)


def success_body() -> Body:
    """Return the body that says no more than that all is well."""
    return error_body(base_message("Success"))


def nothing_to_do() -> Answer:
    """Return 200 with Base.NoOperation: the machine is already as asked."""
    message = Message(
        message_id=f"{BASE}.NoOperation",
        message="The request changes nothing.",
        severity="Warning",
        resolution="None.",
    )
    return Answer(status=200, body=error_body(message))


def shaped(answer: Answer, empty_body: bool | None, default: bool) -> Answer:
    """Return a good answer with or without a body, as modes and protocol have it."""
    empty = default if empty_body is None else empty_body
    if not answer.succeeded:
        return answer
    if empty_body and answer.status in (200, 204):
        return answer.model_copy(update={"status": 204, "body": None})
    if empty_body:
        return answer.model_copy(update={"body": None})
    if answer.status == 204 and not empty:
        return answer.model_copy(update={"status": 200, "body": success_body()})
    return answer


def parse_object(content: bytes) -> Body:
    """Return the JSON object in a body ({} if empty); a refusal if there is none."""
    if not content.strip():
        return {}
    try:
        value = json.loads(content)
    except ValueError as exc:
        raise refused(base_message("MalformedJSON")) from exc
    if not isinstance(value, dict):
        raise refused(base_message("UnrecognizedRequestBody"))
    return value
