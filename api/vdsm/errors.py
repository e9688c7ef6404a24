"""What VDSM's verbs answer instead of a result: its own codes, and why."""

import json

from fastapi.responses import Response
from pjrpc.server import JsonRpcError

UNKNOWN_TASK = 401
NOT_FINISHED = 403
NOT_ADDED = 405
NOT_ALLOWED = 410
REFUSED = -32000
"""What VDSM has no code for: JSON-RPC leaves these to the server."""


def unknown_task(task_id: str) -> JsonRpcError:
    """Return the error for a task that is not there, or not for who asks."""
    return JsonRpcError(UNKNOWN_TASK, f"Task id unknown: {task_id[:255]}")


def not_finished(task_id: str) -> JsonRpcError:
    """Return the error for what has to wait for the end of a task."""
    return JsonRpcError(NOT_FINISHED, f"Task not finished: {task_id}")


def not_allowed(task_id: str, why: str) -> JsonRpcError:
    """Return the error for what a task does not allow in its state."""
    text = f"Operation is not allowed in this task state: {task_id}: {why}"
    return JsonRpcError(NOT_ALLOWED, text)


def refused(answer: Response, code: int = REFUSED) -> JsonRpcError:
    """Return the error that stands for a Redfish error: its first message as text, its
    status and body as data.
    """
    body = json.loads(bytes(answer.body))
    first = body["error"]["@Message.ExtendedInfo"][0]
    data = {"status": answer.status_code, **body}
    return JsonRpcError(code, first["Message"], data)
