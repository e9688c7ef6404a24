"""Heartbeats of long activities: on change, else every half time-out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

Beat = Callable[[BaseModel], None]
"""Tells Temporal the newest details, at once."""


@asynccontextmanager
async def heartbeating(details: BaseModel | None = None) -> AsyncIterator[Beat]:
    """Beat for as long as the block runs; give a function that changes the details."""
    newest: list[BaseModel] = [details] if details is not None else []

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


async def _beat_regularly(newest: list[BaseModel]) -> None:
    timeout = activity.info().heartbeat_timeout
    assert timeout is not None, "a heartbeating activity needs a heartbeat time-out"
    while True:
        activity.heartbeat(*newest)
        await asyncio.sleep(timeout.total_seconds() / 2)
