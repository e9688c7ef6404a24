"""A BMC that repeats in its errors all that it was sent; else it is an emulated one."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from taskfish.plugins.serving import Service, listen

MONITOR = "/redfish/v1/TaskService/TaskMonitors/echo"
TASK = "/redfish/v1/TaskService/Tasks/echo"


def error_with(text: str) -> dict[str, Any]:
    """Return an error that says a text, as prose and as an argument."""
    message = f"The value {text} is refused."
    info = {
        "MessageId": "Base.1.8.PropertyValueFormatError",
        "Message": message,
        "MessageArgs": [text, "Password"],
        "Severity": "Critical",
        "Resolution": f"Send another value than {text}.",
    }
    code = info["MessageId"]
    error = {"code": code, "message": message, "@Message.ExtendedInfo": [info]}
    return {"error": error}


class EchoingBmc:
    """POST is refused at once, PATCH by a task; GET goes to a BMC behind it."""

    def __init__(self, behind: httpx.AsyncClient) -> None:
        self._behind = behind
        self._said: list[dict[str, Any]] = []
        self._polls = 0
        methods = ["GET", "HEAD", "POST", "PATCH"]
        route = Route("/{path:path}", self.answer, methods=methods)
        self.app = Starlette(routes=[route])

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        path = request.url.path
        if request.method in ("POST", "PATCH"):
            refusal = error_with((await request.body()).decode())
            if request.method == "POST":
                return JSONResponse(refusal, 400)
            self._said = refusal["error"]["@Message.ExtendedInfo"]
            self._polls = 0
            return JSONResponse(self._task("Running"), 202, {"Location": MONITOR})
        if path in (MONITOR, TASK):
            self._polls += 1
            state = "Running" if self._polls < 4 else "Exception"
            return JSONResponse(self._task(state), 202 if state == "Running" else 400)
        answer = await self._behind.get(path)
        return Response(
            answer.content, answer.status_code, {"Content-Type": "application/json"}
        )

    def _task(self, state: str) -> dict[str, Any]:
        return {
            "@odata.id": TASK,
            "@odata.type": "#Task.v1_7_4.Task",
            "Id": "echo",
            "Name": json.dumps(self._said),
            "TaskState": state,
            "TaskStatus": "OK" if state == "Running" else "Critical",
            "Messages": self._said,
        }


@asynccontextmanager
async def echoing(behind: str) -> AsyncIterator[str]:
    """Serve one in front of the emulated BMC at a URL; yields its own URL."""
    login = ("admin", "password")
    async with httpx.AsyncClient(base_url=behind, auth=login) as client:
        service = Service(EchoingBmc(client).app, 0, connected=lambda: None)
        async with listen([service], "127.0.0.1") as (url,):
            yield url
