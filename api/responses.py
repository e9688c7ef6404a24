"""Answers in Redfish's form: 202 with a task, a source's own answer, a resource."""

import re
from collections.abc import Sequence

from fastapi.responses import JSONResponse, PlainTextResponse, Response

from taskfish.redfish.resources import (
    TASK_MONITORS,
    TASKS,
    Collection,
    RedfishModel,
    Task,
)
from taskfish.redfish.task import Answer

POLL_SECONDS = 1
"""Retry-After of an open task: DMTF's tools and sushy take small whole numbers."""
PASSED_HEADERS = ("Content-Type", "ETag", "Location", "Retry-After", "Allow")
"""What goes north of a source's headers (contracts.md 2)."""
_VISIBLE = re.compile(r"[\x20-\x7e]+")
"""What a header may hold: anything else of a source is left out."""


def resource_response(
    resource: RedfishModel | Collection,
    allowed: Sequence[str] = ("GET", "HEAD"),
    headers: dict[str, str] | None = None,
) -> Response:
    """Return one of the gateway's own resources."""
    return JSONResponse(
        resource.to_json(), headers={"Allow": ", ".join(allowed), **(headers or {})}
    )


def accepted_response(task_id: str, task: Task | None) -> Response:
    """Return 202 with a relative monitor Location and the Task (DSP0266 12.2)."""
    headers = {
        "Location": monitor_uri(task_id),
        "Retry-After": str(POLL_SECONDS),
        "Link": f'<{task_uri(task_id)}>; rel="task"',
    }
    if task is None:
        return Response(status_code=202, headers=headers)
    return JSONResponse(task.to_json(), status_code=202, headers=headers)


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
    return JSONResponse(answer.body, status_code=answer.status, headers=headers)


def task_uri(task_id: str) -> str:
    """Return the URI of a Task."""
    return f"{TASKS}/{task_id}"


def monitor_uri(task_id: str) -> str:
    """Return the URI of a task's monitor."""
    return f"{TASK_MONITORS}/{task_id}"
