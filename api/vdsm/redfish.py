"""Redfish.request: a change whose task has the id of its call (contracts.md 9)."""

import re
from typing import Annotated

from pjrpc.server.exceptions import InvalidParamsError
from pydantic import Field, JsonValue

from api.inner_requests import request_inside
from api.request_headers import LONGEST_TIMEOUT, TASK_ID
from api.vdsm.calls import Call, CallId, verbs
from api.vdsm.errors import NOT_ADDED, refused, unknown_task
from api.vdsm.records import Record, details
from taskfish.plugins.protocol import ChangeMethod
from taskfish.redfish.inventory import COLLECTIONS
from taskfish.redfish.links import ROOT
from taskfish.redfish.operations import composite_at
from taskfish.redfish.resources import AGGREGATION_SOURCES, SIMPLE_UPDATE
from taskfish.redfish.tags import Tag, Tags

VERBS = verbs()
Timeout = Annotated[int, Field(ge=1, le=LONGEST_TIMEOUT)]
_OF_SOURCES = re.compile(rf"{ROOT}/(?:{'|'.join(COLLECTIONS)})/[\x21-\x3e\x40-\x7e]+")
"""What lies in a member of a source, without a query."""
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


@VERBS.add("Redfish.request", pass_context=True)
async def request(
    call: Call,
    method: ChangeMethod,
    uri: str,
    body: dict[str, JsonValue] | None = None,
    tags: Tag | Tags | None = None,
    timeout: Timeout | None = None,  # noqa: ASYNC109
    options: JsonValue = None,
) -> Record:
    """Start a change and return its task at once. Nothing is read here: GET is HTTP's.

    It is a request like any other, and what refuses that refuses the call.
    """
    if not _becomes_task(method, uri):
        raise InvalidParamsError("Invalid params: uri: no change there becomes a task")
    headers = {"Prefer": "wait=0"}
    if (task_id := _task_id(call.id)) is not None:
        headers["Task-Id"] = task_id
    if tags:
        headers["Task-Tags"] = tags if isinstance(tags, str) else ",".join(tags)
    if timeout is not None:
        headers["Task-Timeout"] = str(timeout)
    answer = await request_inside(call.http, method, uri, body, headers)
    if answer.status_code >= 400:
        raise refused(answer, NOT_ADDED)
    started = answer.headers["Task-Id"]
    view = await call.gateway.tasks.read(started)
    if view is None:
        raise unknown_task(started)
    return details(view)


def _becomes_task(method: str, uri: str) -> bool:
    adds_source = (method, uri) == ("POST", AGGREGATION_SOURCES)
    is_of_source = uri == SIMPLE_UPDATE or bool(_OF_SOURCES.fullmatch(uri))
    return adds_source or is_of_source or _starts_operation(uri)


def _starts_operation(uri: str) -> bool:
    """Say whether a URI is that of a multi-step operation.

    One with escapes is none: it may stand for another, that becomes no task.
    """
    return bool(_PLAIN.fullmatch(uri)) and composite_at(uri) is not None


def _task_id(call_id: CallId) -> str | None:
    """Return the Id that the task shall have; None where the call has none."""
    if call_id is None:
        return None
    if not TASK_ID.fullmatch(str(call_id)):
        how = "1 to 128 letters, digits, '_', '.' or '-', the first a letter or digit"
        raise InvalidParamsError(f"Invalid params: the call's id is no task's: {how}")
    return str(call_id)
