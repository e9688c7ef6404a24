"""Every error that reaches a client: a Redfish error with its status (DSP0266)."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import JsonValue
from starlette.exceptions import HTTPException

from activities.errors import answer_to
from taskfish.errors import (
    RequestRefusedError,
    TaskfishError,
    TransientError,
)
from taskfish.redfish.messages import Message, base_message, error_body, status_of

RETRY_AFTER = 5
"""Seconds after which something that does not answer may be asked again."""


def refuse(
    key: str,
    *args: str,
    text: str | None = None,
    resolution: str | None = None,
    status: int | None = None,
    headers: dict[str, str] | None = None,
) -> RequestRefusedError:
    """Return the error that refuses a request with one message of the Base registry."""
    message = base_message(key, *args, text=text, resolution=resolution)
    return RequestRefusedError(message, status=status, headers=headers)


def task_in_use(task_uri: str | None) -> RequestRefusedError:
    """Return the 409 that names the running task which is in the way.

    Without a URI it is the task of another, whom the caller may not see.
    """
    if task_uri is None:
        return refuse(
            "ResourceInUse",
            text="The task of another is in the way: it has not ended.",
            resolution="Try again later, or send Task-Conflict: queue.",
        )
    message = base_message(
        "ResourceInUse",
        text=f"The task {task_uri} is in the way: it has not ended.",
        resolution=f"Wait for the end of {task_uri} or cancel it, then try again.",
    )
    oem: dict[str, JsonValue] = {"Taskfish": {"Task": {"@odata.id": task_uri}}}
    return RequestRefusedError(
        message.model_copy(update={"oem": oem}),
        headers={"Link": f'<{task_uri}>; rel="task"'},
    )


def error_response(
    *messages: Message, status: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    """Return an error response; its status is the first message's, if not given."""
    return JSONResponse(
        error_body(*messages),
        status_code=status or status_of(messages[0]),
        headers=headers,
    )


def add_error_handlers(app: FastAPI) -> None:
    """Render our own errors and the framework's; `Front` renders the unexpected."""
    app.add_exception_handler(TaskfishError, _failed)
    app.add_exception_handler(HTTPException, _framework)


def response_to(error: TaskfishError, path: str) -> Response:
    """Return the response that one of our own errors becomes at a path."""
    if isinstance(error, RequestRefusedError):
        return error_response(
            *error.messages, status=error.status, headers=error.headers
        )
    answer = answer_to(error, path)
    headers = {}
    if isinstance(error, TransientError):
        headers["Retry-After"] = str(round(error.retry_after or RETRY_AFTER))
    return JSONResponse(answer.body, status_code=answer.status, headers=headers)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, TaskfishError), "registered for it"
    return response_to(error, request.scope["path"])


async def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for it"
    path = request.scope["path"]
    if error.status_code == 404:
        return error_response(base_message("ResourceMissingAtURI", path))
    if error.status_code == 405:
        message = base_message("OperationNotAllowed")
    else:
        message = base_message("GeneralError", text=str(error.detail))
    headers = dict(error.headers or {})
    return error_response(message, status=error.status_code, headers=headers)
