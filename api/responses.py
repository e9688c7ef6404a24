"""Answers in Redfish's form: a resource of our own, a source's answer; tasks' URIs."""

import re
from collections.abc import Sequence

from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import JsonValue

from api.link_headers import add_link, schema_link
from taskfish.redfish.resources import (
    TASK_MONITORS,
    TASKS,
    Collection,
    RedfishModel,
)
from taskfish.redfish.task import Answer

GET = ("GET", "HEAD")
PASSED_HEADERS = ("Content-Type", "ETag", "Location", "Retry-After", "Allow")
"""What goes north of a source's headers (contracts.md 2)."""
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?")
"""What a header may hold: anything else of a source is left out."""


def json_response(
    body: JsonValue, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Return a JSON body, with the Link to the schema of a resource beside others."""
    response = JSONResponse(body, status_code=status, headers=headers)
    if link := schema_link(body):
        add_link(response.headers, link)
    return response


def resource_response(
    resource: RedfishModel | Collection,
    allowed: Sequence[str] = GET,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return one of the gateway's own resources."""
    return json_response(
        resource.to_json(), headers={"Allow": ", ".join(allowed), **(headers or {})}
    )


def source_response(answer: Answer, allowed: Sequence[str] = ()) -> Response:
    """Return a source's answer as the gateway hands it on."""
    headers = {
        name: answer.header(name) or ""
        for name in PASSED_HEADERS
        if name != "Content-Type" and _VISIBLE.fullmatch(answer.header(name) or "")
    }
    if allowed and "Allow" not in headers:
        headers["Allow"] = ", ".join(allowed)
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    if isinstance(answer.body, str):
        return PlainTextResponse(
            answer.body, status_code=answer.status, headers=headers
        )
    return json_response(answer.body, answer.status, headers)


def task_uri(task_id: str) -> str:
    """Return the URI of a Task."""
    return f"{TASKS}/{task_id}"


def subtasks_uri(task_id: str) -> str:
    """Return the URI of the collection of a task's steps."""
    return f"{task_uri(task_id)}/SubTasks"


def subtask_uri(task_id: str, name: str) -> str:
    """Return the URI of a step."""
    return f"{subtasks_uri(task_id)}/{name}"


def monitor_uri(task_id: str, run_id: str | None = None) -> str:
    """Return the URI of a task's monitor.

    Where the caller chose the Id it names the run too: the next one with this Id is
    another task (contracts.md 1).
    """
    return f"{TASK_MONITORS}/{task_id}{f'~{run_id}' if run_id else ''}"
