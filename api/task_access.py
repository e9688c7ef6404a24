"""Which task a URI names, and for whom it is there."""

from contextlib import suppress

from api.authentication import User
from api.errors import refuse
from api.gateway import Gateway
from api.privileges import may_see
from api.responses import task_uri
from api.task_resources import monitor_of
from api.task_view import TaskView
from taskfish.errors import TemporalUnavailableError
from taskfish.redfish.resources import TASK_MONITORS
from taskfish.redfish.task import TaskState


async def visible_task(gateway: Gateway, user: User, task_id: str) -> TaskView:
    """Return the newest run of a task; raise 404 for one that is not there for this
    user, or not any more.
    """
    view = await gateway.tasks.read(task_id)
    if view is None or not may_see(user, view.owner, gateway.settings):
        raise refuse("ResourceMissingAtURI", task_uri(task_id))
    await check_kept(gateway, view)
    return view


async def visible_monitor(gateway: Gateway, user: User, name: str) -> TaskView:
    """Return the run that a monitor is of; raise 404 for one that is not there.

    With an Id that its caller chose the monitor names the run, so that nobody reads
    the answer of another who has used the Id again (contracts.md 1).
    """
    uri = f"{TASK_MONITORS}/{name}"
    task_id, _, run_id = name.partition("~")
    view = await gateway.tasks.read(task_id)
    if run_id and view is not None and view.first_run_id != run_id:
        view = await gateway.tasks.read(task_id, run_id)
    if (
        view is None
        or monitor_of(view) != uri
        or not may_see(user, view.owner, gateway.settings)
    ):
        raise refuse("ResourceMissingAtURI", uri)
    return view


async def check_kept(gateway: Gateway, view: TaskView) -> None:
    """Raise 404 for a task that goes because it was cancelled, and have it removed.

    The first read after its end does that; one that nobody reads goes when its time
    is over. Should Temporal not do it now, the next read tries again.
    """
    keep = gateway.settings.cancelled == "keep"
    if keep or view.state is not TaskState.CANCELLED:
        return
    with suppress(TemporalUnavailableError):
        await gateway.removal.begin(*view.run)
    raise refuse("ResourceMissingAtURI", task_uri(view.id))
