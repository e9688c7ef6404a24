"""Wait for one's turn on a machine, and give it up (D13)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.errors import as_application_errors
from activities.heartbeat import Beat, heartbeating
from activities.open_places import OpenPlaces
from activities.progress import Progress
from taskfish.redfish.messages import base_message
from taskfish.redfish.resources import TASKS
from taskfish.redfish.task import TaskState
from taskfish.redfish.turn import Turn
from taskfish.store.turns import Place, Turns

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


class TurnRequest(BaseModel):
    """Whose turn on what: `uri` is what the change is made to."""

    model_config = ConfigDict(frozen=True)

    turn: Turn
    task_id: str
    token: str
    uri: str


class GotTurn(BaseModel):
    """The change may go on; it keeps its places until it leaves them or ends."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["got"] = "got"


class TurnTimedOut(BaseModel):
    """Its time is over; `holder`, a Task's URI if it may be named, is first in line."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["timed_out"] = "timed_out"
    holder: str


TurnAnswer = Annotated[GotTurn | TurnTimedOut, Field(discriminator="kind")]


class TurnActivities:
    """The activities around turns, given what they need by the composition root."""

    def __init__(self, client: Client, turns: Turns) -> None:
        self._turns = turns
        self._open_places = OpenPlaces(client, turns)

    @activity.defn
    async def await_turn(self, request: TurnRequest) -> TurnAnswer:
        """Take the places if they are not there, and wait until all ahead are closed.

        The time counts from the taking, so that a retry goes on. What does not wait
        only takes its places.
        """
        turn = request.turn
        with as_application_errors(request.uri):
            async with heartbeating(_resumed()) as beat:
                since = await self._turns.take(
                    turn.systems, request.task_id, request.token
                )
                if not turn.waits or not turn.systems:
                    return GotTurn()
                deadline = since + timedelta(seconds=turn.seconds)
                return await self._wait(request, deadline, beat)

    @activity.defn
    async def leave_turn(self, token: str) -> None:
        """Give up the places of a change; asking twice does no harm."""
        with as_application_errors(TASKS):
            await self._turns.leave(token)

    async def _wait(
        self, request: TurnRequest, deadline: datetime, beat: Beat
    ) -> TurnAnswer:
        """Wait for the one just ahead, then for the next that still is: a queue of
        many looks at one run each.
        """
        shown, pause = "", FIRST_PAUSE
        while True:
            places = await self._turns.ahead(request.token)
            if places is None:
                raise _given_up()
            last = await self._open_places.first(reversed(places))
            if last is None:
                return GotTurn()
            if datetime.now(UTC) >= deadline:
                holder = await self._open_places.first(places) or last
                return TurnTimedOut(holder=_name(holder, request.turn))
            if last.token != shown:
                beat(_pending(last, request.turn))
                shown, pause = last.token, FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)


def _pending(ahead: Place, turn: Turn) -> Progress:
    """Return what readers see of a change that waits behind another."""
    name = _name(ahead, turn)
    text = f"Waits for {name} to end: it is before it on {ahead.target}."
    resolution = "Wait, or cancel one of the two."
    message = base_message("ResourceInUse", text=text, resolution=resolution)
    return Progress(state=TaskState.PENDING, messages=(message,))


def _given_up() -> ApplicationError:
    """Return the error after which a new attempt takes the places again.

    There is none if the workflow itself has given them up, and this wait with them.
    """
    return ApplicationError(
        "its places in the queue were given up",
        type="PlacesGivenUp",
        category=ApplicationErrorCategory.BENIGN,
    )


def _resumed() -> Progress | None:
    """Return what the attempt before this one had last shown."""
    details = activity.info().heartbeat_details
    return Progress.model_validate(details[0]) if details else None


def _name(place: Place, turn: Turn) -> str:
    return "the task of another" if turn.discreet else f"{TASKS}/{place.task_id}"
