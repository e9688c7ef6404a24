"""Tell subscribers of a task that was killed: its own code cannot any more."""

import logging
from datetime import UTC, datetime

from api.gateway import Gateway
from api.last_words import Killing, words_of_killed
from api.task_view import TaskView
from taskfish.errors import StoreUnavailableError
from taskfish.redfish.task_events import KILLED, TaskSubject

logger = logging.getLogger(__name__)


async def tell_of_kill(gateway: Gateway, view: TaskView, by: str) -> None:
    """Append the end of a task that was just killed, saying who did it.

    Without a store the reconciler does it later, and knows less.
    """
    request = view.request
    subject = TaskSubject(
        task_id=view.id,
        run_id=view.run_id,
        owner=view.owner,
        method=request.method,
        uri=request.uri,
        machines=view.labels.resources,
    )
    killing = Killing(by=by, percent=view.percent)
    words = words_of_killed(view.id, request, view.labels, killing, view.plan)
    event = subject.changed(KILLED, words, datetime.now(UTC), view.percent)
    try:
        await gateway.event_log.append(event)
    except StoreUnavailableError as error:
        logger.warning("%s was killed, and nobody is told yet: %s", view.id, error)
