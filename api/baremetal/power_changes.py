"""From a target to the task of a reset, or to the cancel of one (contracts.md 9)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fastapi import Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.auditing import note_change_inside
from api.authentication import User
from api.baremetal.nodes import Node
from api.baremetal.places import CONDUCTOR, NODES, whole_url
from api.baremetal.power_targets import ABORTS, CHANGES, reset_type, state_of
from api.baremetal.power_tasks import power_tasks
from api.baremetal.queries import bad_request
from api.cancelling import delete_task
from api.change_request import ChangeRequest
from api.changes import start_change
from api.errors import refuse
from api.gateway import Gateway
from api.privileges import require_for
from api.request_headers import LONGEST_TIMEOUT, TaskWishes
from api.responses import task_uri
from api.task_resources import allowed_methods
from taskfish.errors import RequestRefusedError
from taskfish.redfish.operations import RESET_ACTION

_PARAMETERS = ("target", "timeout")


@dataclass(frozen=True)
class PowerChange:
    """What a request asks for: a target, and within how many seconds."""

    target: str
    timeout: int | None = None


def power_change(body: Mapping[str, JsonValue]) -> PowerChange:
    """Read the body of a request; raise 400 for one that is not right."""
    unknown = [name for name in body if name not in _PARAMETERS]
    if unknown:
        raise bad_request(f"Unexpected arguments: {', '.join(unknown)[:255]}")
    target, timeout = body.get("target"), body.get("timeout")
    if target is None:
        raise bad_request("Missing mandatory parameter: target")
    if not isinstance(target, str):
        raise bad_request("Invalid input for argument target: it must be a string")
    if timeout is None:
        return PowerChange(target)
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 1:
        raise bad_request("timeout has to be positive integer")
    if timeout > LONGEST_TIMEOUT:
        raise bad_request(f"timeout has to be {LONGEST_TIMEOUT} at most")
    return PowerChange(target, timeout)


async def change(
    http: Request,
    gateway: Gateway,
    user: User,
    node: Node,
    asked: PowerChange,
    wishes: TaskWishes,
) -> Response:
    """Start the reset as any other door does, but that it does not wait its turn."""
    uri = f"{node.member.uri}/Actions/{RESET_ACTION}"
    require_for(user, "POST", uri)
    wishes = replace(wishes, timeout=asked.timeout or wishes.timeout, conflict="reject")
    request = ChangeRequest(
        method="POST",
        uri=uri,
        body={"ResetType": _reset_type(node, asked)},
        source=node.member.source,
        owner=user.name,
        wishes=wishes,
        member=node.member,
    )
    try:
        started = await start_change(gateway, request)
    except RequestRefusedError as error:
        raise _as_locked(node, error) from error
    return _accepted(http, node, started.task_id)


async def abort(
    http: Request, gateway: Gateway, user: User, node: Node, asked: PowerChange
) -> Response:
    """Cancel the changes that the target ends; where none is under way do nothing.

    The answer names one of them, the audit log each.
    Raises 400 where the source cannot abort them, 403 for those of another.
    """
    if asked.target not in node.supported_power_states:
        raise _unsupported(node, asked)
    ended = None
    for task in await power_tasks(gateway, user, node.member.uri):
        if task.view is None or not task.is_under_way:
            continue
        if task.reset_type in ABORTS[asked.target]:
            if "DELETE" not in allowed_methods(task.view):
                raise _unsupported(node, asked)
            await delete_task(gateway, user, "conformant", task.view)
            if ended is not None:
                uri = task_uri(task.id)
                await note_change_inside(http, "DELETE", uri, 202, task.id)
            ended = ended or task.id
    return _accepted(http, node, ended)


def _reset_type(node: Node, asked: PowerChange) -> str:
    """Return the ResetType of a target; raise 400 for one that there is not."""
    if asked.target not in CHANGES:
        raise bad_request(
            f'The requested action "{asked.target[:80]}" can not be performed on node '
            f'"{node.name}" while it is in state "{state_of(node.member)}".'
        )
    found = reset_type(node.member, asked.target)
    if found is None:
        raise _unsupported(node, asked)
    return found


def _unsupported(node: Node, asked: PowerChange) -> RequestRefusedError:
    return bad_request(
        f"Driver {node.driver} does not support {asked.target} on node {node.name} "
        "(disabled or not implemented)."
    )


def _as_locked(node: Node, error: RequestRefusedError) -> RequestRefusedError:
    """Return a 409 in Ironic's words; what is in the way is said beside them."""
    first = error.messages[0]
    if not first.message_id.endswith(".ResourceInUse"):
        return error
    return refuse(
        "ResourceInUse",
        text=f"Node {node.uuid} is locked by host {CONDUCTOR}, please retry after the "
        "current operation is completed.",
        resolution=first.message,
        headers=error.headers,
    )


def _accepted(http: Request, node: Node, task_id: str | None) -> Response:
    headers = {"Location": whole_url(http, f"{NODES}/{node.uuid}/states")}
    if task_id is not None:
        headers["Task-Id"] = task_id
        headers["Link"] = f'<{task_uri(task_id)}>; rel="task"'
    return Response(status_code=202, headers=headers)
