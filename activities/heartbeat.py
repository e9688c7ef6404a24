"""Heartbeats of long activities: on change, else every half time-out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

Beat = Callable[[BaseModel], None]
"""Tells Temporal the newest details, at once."""


Details = BaseModel | Callable[[], BaseModel]
"""What a beat tells, or what is asked for that at each beat: it changes too often."""


@asynccontextmanager
async def heartbeating(details: Details | None = None) -> AsyncIterator[Beat]:
    """Beat for as long as the block runs; give a function that changes the details."""
    newest: list[Details] = [details] if details is not None else []

    def beat(changed: BaseModel) -> None:
        newest[:] = [changed]
        activity.heartbeat(changed)

    beating = asyncio.create_task(_beat_regularly(newest))
    try:
        yield beat
    except asyncio.CancelledError:
        if _only_the_worker_stops():
            # A mere cancel would log a traceback for each task that waits.
            raise ApplicationError(
                "the worker stops; another one goes on",
                type="WorkerStops",
                category=ApplicationErrorCategory.BENIGN,
            ) from None
        raise
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating


def _only_the_worker_stops() -> bool:
    """Say whether the activity is broken off for another worker to take it up."""
    details = activity.cancellation_details()
    is_requested = details is not None and details.cancel_requested
    return activity.is_worker_shutdown() and not is_requested


async def _beat_regularly(newest: Sequence[Details]) -> None:
    timeout = activity.info().heartbeat_timeout
    assert timeout is not None, "a heartbeating activity needs a heartbeat time-out"
    while True:
        told = [each if isinstance(each, BaseModel) else each() for each in newest]
        activity.heartbeat(*told)
        await asyncio.sleep(timeout.total_seconds() / 2)
