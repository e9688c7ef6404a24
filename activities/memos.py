"""What was asked for by a task, as its memo in Temporal tells."""

import logging
from collections.abc import Mapping
from typing import Any

from temporalio.client import WorkflowExecution

from taskfish.errors import UndecryptableError
from taskfish.redfish.task_memo import TASK_MEMO

UNREADABLE = (KeyError, ValueError, RuntimeError, UndecryptableError)
"""What is raised for a memo or a result of another version, key or program."""


logger = logging.getLogger(__name__)


async def request_in(run: WorkflowExecution) -> Mapping[str, Any] | None:
    """Return the request in a run's memo: empty without one, None for a memo that
    cannot be read.
    """
    try:
        request = (await run.memo()).get(TASK_MEMO)
    except UNREADABLE as error:
        logger.warning("the memo of %s cannot be read: %r", run.id, error)
        return None
    return request if isinstance(request, dict) else {}
