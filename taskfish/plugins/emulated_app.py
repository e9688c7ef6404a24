"""What every emulated service is as an ASGI application: one handler, some faults."""

import json
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI, Request, Response

from taskfish.plugins.machine.answers import (
    DroppedConnectionError,
    RefusedError,
    not_allowed,
    refused,
)
from taskfish.plugins.machine.gate import Gate
from taskfish.plugins.serving import BodyTooLargeError, drop, limited
from taskfish.redfish.messages import base_message
from taskfish.redfish.task import Answer

MAX_BODY_BYTES = 1024 * 1024
METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")
READS = ("GET", "HEAD")
_NO_HEADERS: Mapping[str, str] = {}


def create_app(
    gate: Gate,
    answer: Callable[[Request], Awaitable[Answer]],
    headers: Mapping[str, str] | None = None,
) -> FastAPI:
    """Return the application that gives `answer` to each request.

    The answer may raise RefusedError, BodyTooLargeError and DroppedConnectionError;
    `headers` are sent with every answer that has none of the same name.
    """
    common = dict(headers or {})

    async def handle(request: Request) -> Response:
        with gate.traffic:
            try:
                found = await answer(request)
            except RefusedError as exc:
                found = exc.answer
            except BodyTooLargeError:
                found = refused(base_message("PayloadTooLarge")).answer
            except DroppedConnectionError:
                await drop(request.scope)
                return Response()
        return _response(found, common, gate.modes.headers)

    async def refuse_method(_: Request, exc: Exception) -> Response:
        return _response(not_allowed(", ".join(METHODS)).answer, common)

    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.add_api_route("/{path:path}", handle, methods=list(METHODS))
    app.add_exception_handler(405, refuse_method)
    return app


async def body_of(request: Request) -> bytes:
    """Return a request's body; raise BodyTooLargeError beyond the limit."""
    return await limited(request.stream(), MAX_BODY_BYTES)


def _response(
    answer: Answer, common: dict[str, str], instead: Mapping[str, str] = _NO_HEADERS
) -> Response:
    headers = {**common, **answer.headers, **instead}
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    content = json.dumps(answer.body)
    return Response(content, answer.status, headers, "application/json")
