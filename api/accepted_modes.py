"""In which form an open task is answered: Redfish's own, or one that a client needs.

`conformant` is DSP0266 12.2. sushy takes every answer but a 202 for the end and polls
the Task where a body names one, so for it there are two other forms (docs/clients.md):
with `sushy` the Task answers 202 while it is open, and states that Ironic takes for
the end show as Running; with `location` the body of a 202 has no `@odata.id`, so that
sushy polls the monitor. Neither has a Retry-After, which sushy cannot read.
"""

from fastapi import Depends
from fastapi.responses import Response
from pydantic import JsonValue

from api.authentication import User, authenticated
from api.gateway import Gateway, gateway_of
from api.responses import GET, json_response, resource_response, task_uri
from taskfish.redfish.resources import Task
from taskfish.redfish.task import TaskState
from taskfish.store.accounts import AcceptedForm

POLL_SECONDS = 1
"""Retry-After of an open task: DMTF's tools take small whole numbers."""
TAKEN_FOR_THE_END = frozenset(
    {
        TaskState.SUSPENDED,
        TaskState.INTERRUPTED,
        TaskState.STOPPING,
        TaskState.CANCELLING,
        TaskState.SERVICE,
    }
)
"""The states of open tasks that Ironic does not wait on."""


async def accepted_form(
    user: User = Depends(authenticated), gateway: Gateway = Depends(gateway_of)
) -> AcceptedForm:
    """Return the form for who asks: the account's own, else that of the settings."""
    return user.accepted or gateway.settings.accepted


def accepted_response(
    form: AcceptedForm, task_id: str, monitor: str, task: Task | None
) -> Response:
    """Return the 202 of an open task: its monitor's Location, and the Task if known.

    It answers a change, and GET of the monitor.
    """
    headers = {
        "Location": monitor,
        "Link": f'<{task_uri(task_id)}>; rel="task"',
        "Task-Id": task_id,
    }
    if form == "conformant":
        headers["Retry-After"] = str(POLL_SECONDS)
    if task is None:
        return Response(status_code=202, headers=headers)
    body = _shown(form, task)
    if form == "location":
        del body["@odata.id"]
    return json_response(body, 202, headers)


def task_response(
    form: AcceptedForm, task: Task, allowed: tuple[str, ...] = GET
) -> Response:
    """Return the answer to GET of a Task: 200, or 202 while open for `sushy`."""
    if form != "sushy" or TaskState(task.task_state).ended:
        return resource_response(task, allowed)
    headers = {"Allow": ", ".join(allowed)}
    if task.task_monitor is not None:
        headers["Location"] = task.task_monitor
    return json_response(_shown(form, task), 202, headers)


def _shown(form: AcceptedForm, task: Task) -> dict[str, JsonValue]:
    """Return the Task's body, with a state that the client understands."""
    body = task.to_json()
    if form == "sushy" and task.task_state in TAKEN_FOR_THE_END:
        oem = body.setdefault("Oem", {})
        assert isinstance(oem, dict), "it is an object"
        ours = oem.setdefault("Taskfish", {})
        assert isinstance(ours, dict), "it is an object"
        ours["State"] = task.task_state
        body["TaskState"] = TaskState.RUNNING.value
    return body
