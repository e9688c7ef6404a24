"""DELETE on a Task or its monitor: cancel what runs, remove what has ended.

The statuses are contracts.md 5's; DSP0266 12.2 for the rest.
"""

from fastapi.responses import Response

from api.accepted_modes import accepted_response
from api.authentication import User
from api.errors import refuse
from api.gateway import Gateway
from api.monitor_expiry import monitor_is_there
from api.privileges import require_owner_or
from api.responses import GET
from api.step_reader import StepView
from api.subtask_resources import subtask_resource
from api.task_commands import TaskCommands
from api.task_resources import accepted_view, allowed_methods, monitor_of
from api.task_view import TaskView
from taskfish.store.accounts import AcceptedForm


async def delete_task(
    gateway: Gateway, user: User, form: AcceptedForm, view: TaskView
) -> Response:
    """Cancel a running task: 202; remove an ended one with its monitor: 204, or 202
    while Temporal still shows it. Raises 403 for another's, 405 for what runs on.
    """
    require_owner_or(user, view.owner)
    if not view.state.ended:
        return await _cancel(gateway, user, form, view)
    await gateway.requests.add_end(user.name, view.id)
    if await gateway.removal.remove_run(*view.run):
        return Response(status_code=204)
    return await accepted_view(gateway, form, view)


async def delete_monitor(
    gateway: Gateway, user: User, form: AcceptedForm, view: TaskView
) -> Response:
    """Cancel a running task: 202; drop only the monitor of an ended one: 204."""
    require_owner_or(user, view.owner)
    if not view.state.ended:
        return await _cancel(gateway, user, form, view)
    if not await monitor_is_there(gateway, view):
        raise refuse("ResourceMissingAtURI", monitor_of(view))
    await gateway.monitor_reads.remove(view.run)
    return Response(status_code=204)


def step_methods(step: StepView) -> tuple[str, ...]:
    """Return the methods of a SubTask: with DELETE while its cancel is possible. What
    has ended goes with its task only.
    """
    runs = step.task is not None and not step.task.state.ended
    return allowed_methods(step.task) if step.task and runs else GET


async def cancel_step(
    gateway: Gateway, user: User, form: AcceptedForm, task: TaskView, step: StepView
) -> Response:
    """Cancel a step that runs, and it alone: 202, with its operation's monitor.

    Raises 403 for another's, 405 for one that has not begun, has ended, or runs on.
    """
    require_owner_or(user, task.owner)
    view, allowed = step.task, step_methods(step)
    if view is None or view.state.ended:
        name, is_planned = step.planned.name, view is None and not task.state.ended
        said, how = f"The step {name} has ended.", "It is removed with its task."
        if is_planned:
            said = f"The step {name} has not begun: it cannot be cancelled alone."
            how = "Cancel the task, or hold it before the step: Taskfish.PauseBefore."
        headers = {"Allow": ", ".join(allowed)}
        raise refuse("OperationNotAllowed", text=said, resolution=how, headers=headers)
    _check_abortable(view, allowed)
    if not view.is_cancelling:
        await gateway.requests.add_end(user.name, task.id)
        await TaskCommands(gateway.temporal, view).cancel(user.name)
        step = await gateway.steps.read(task, step.planned.name) or step
    resource = await subtask_resource(gateway, task, step)
    response = accepted_response(form, task.id, monitor_of(task), resource)
    response.headers["Allow"] = ", ".join(step_methods(step))
    return response


async def _cancel(
    gateway: Gateway, user: User, form: AcceptedForm, view: TaskView
) -> Response:
    """Ask for the cancel, unless that is done already; answer with the same task.

    Raises 405 if its source says that its task cannot be aborted.
    """
    _check_abortable(view, allowed_methods(view))
    if not view.is_cancelling:
        await gateway.requests.add_end(user.name, view.id)
        await TaskCommands(gateway.temporal, view).cancel(user.name)
        view = await gateway.tasks.read(*view.run) or view
    return await accepted_view(gateway, form, view)


def _check_abortable(view: TaskView, allowed: tuple[str, ...]) -> None:
    """Raise 405 if the source says that its task cannot be aborted."""
    if "DELETE" not in allowed:
        raise refuse(
            "OperationNotAllowed",
            text=f"The source {view.labels.source} cannot abort what it was sent.",
            resolution="Wait for its end, or have an administrator kill the task.",
            headers={"Allow": ", ".join(allowed)},
        )
