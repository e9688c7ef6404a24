"""One machine, one change at a time, if the operator or the request says so (D13)."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from activities.open_places import OpenPlaces
from activities.superseding import graceful_resets
from api.change_request import ChangeRequest
from api.errors import task_in_use
from api.gateway import Gateway
from api.request_headers import ConflictWish
from api.responses import task_uri
from taskfish.errors import TaskfishError, TemporalUnavailableError
from taskfish.redfish.links import ROOT
from taskfish.redfish.operations import is_forced_power_off
from taskfish.redfish.turn import Turn
from taskfish.store.turns import Turns

CHECK_SECONDS = 2.0
"""How long Temporal may take to say who is on a machine: a 503 comes within three."""
START_SECONDS, LOOK_PAUSE = 1.0, 0.05
"""How long, and how often, a task ahead is looked for that has not started."""


async def turn_of(gateway: Gateway, request: ChangeRequest, wish: ConflictWish) -> Turn:
    """Return the turn that a change needs and has not taken.

    One that waits for its time first is refused at its time, or queued then.
    """
    seconds = gateway.settings.queue_timeout if wish == "queue" else 0
    return Turn(
        systems=await _systems_of(gateway, request),
        waits=wish != "allow" and not is_forced_power_off(request.uri, request.body),
        seconds=seconds,
        discreet=gateway.settings.owner_only,
    )


async def take_turn(
    gateway: Gateway,
    request: ChangeRequest,
    wish: ConflictWish,
    task_id: str,
    token: str,
) -> tuple[Turn, tuple[str, ...]]:
    """Take the places of a change that is about to start.

    Returns its turn and the Ids of the tasks that it supersedes: a forced power-off
    goes ahead of all others and makes graceful resets pointless. Raises 409 with the
    task in the way for `reject`, `TemporalUnavailableError` when nobody can say
    whether there is one; then no place is kept.
    """
    turn = await turn_of(gateway, request, wish)
    if not turn.systems:
        return turn, ()
    forced = is_forced_power_off(request.uri, request.body)
    turns = gateway.turns
    before = await turns.on(turn.systems) if forced else ()
    await turns.take(turn.systems, task_id, token, first=forced)
    superseded: tuple[str, ...] = ()
    async with _checking(turns, token):
        if forced:
            superseded = await graceful_resets(gateway.temporal, before)
        elif wish == "reject":
            await _refuse_behind(gateway, request, turn.systems, task_id, token)
    come = not turn.waits or wish != "queue"
    return turn.model_copy(update={"taken": True, "come": come}), superseded


async def leave_turn(gateway: Gateway, token: str) -> None:
    """Give up the places of a change that has not started."""
    await gateway.turns.leave(token)


@asynccontextmanager
async def _checking(turns: Turns, token: str) -> AsyncIterator[None]:
    """Give the places up if what is checked refuses the change or takes too long."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            yield
    except TimeoutError as error:
        await turns.leave(token)
        raise TemporalUnavailableError("Temporal does not answer in time") from error
    except TaskfishError:
        await turns.leave(token)
        raise


async def _systems_of(gateway: Gateway, request: ChangeRequest) -> tuple[str, ...]:
    """Return the URIs of the systems that a change holds.

    What is no System's own is done to all systems of its source.
    """
    members = (request.member,) if request.member else request.targets
    systems = {each.uri for each in members if each.collection == "Systems"}
    others = {each.source for each in members if each.collection != "Systems"}
    sources = others if members else {request.source}
    names = await gateway.inventory.systems_of_all(sources)
    return tuple(sorted(systems | {f"{ROOT}/Systems/{name}" for name in names}))


async def _refuse_behind(
    gateway: Gateway,
    request: ChangeRequest,
    systems: Sequence[str],
    task_id: str,
    token: str,
) -> None:
    """Raise 409 if a run with a place ahead is open.

    One that is about to start is waited for a little: it may be refused itself. Places
    are taken again that another try of the same request has given up meanwhile.
    """
    turns = gateway.turns
    open_places = OpenPlaces(gateway.temporal, turns)
    give_up_at = time.monotonic() + START_SECONDS
    while True:
        await turns.take(systems, task_id, token)
        ahead = await turns.ahead(token)
        if ahead is None:
            continue
        holder = await open_places.first(ahead)
        if holder is None:
            return
        task = await gateway.tasks.read(holder.task_id)
        if task is not None or time.monotonic() >= give_up_at:
            is_own = task is not None and task.owner == request.owner
            is_seen = is_own or not gateway.settings.owner_only
            raise task_in_use(task_uri(holder.task_id) if is_seen else None)
        await asyncio.sleep(LOOK_PAUSE)
