"""An event of a plugin's task as ODIM reads it (southbound.md B2.3)."""

import json

from taskfish.plugins.machine.answers import Body, done, shaped
from taskfish.plugins.machine.task_events import TaskEvent
from taskfish.redfish.messages import task_message

REGISTRY = "TaskEvent.1.0.3"
"""ODIM looks for this very prefix."""


def odim_record(event: TaskEvent, monitor_id: str) -> Body:
    """Return the record: its arguments are the id, the percent of a progress, the
    body of the final answer and its status.
    """
    percent = [str(event.percent)] if event.key == "TaskProgressChanged" else []
    message = task_message(event.key, monitor_id, *percent)
    return {
        "EventType": "StatusChange",
        "MemberId": "0",
        "Severity": message.severity,
        "Message": message.message,
        "MessageId": f"{REGISTRY}.{event.key}",
        "MessageArgs": [monitor_id, *percent, *_outcome(event, message.message)],
        "OriginOfCondition": {"@odata.id": f"/taskmon/{monitor_id}"},
    }


def _outcome(event: TaskEvent, words: str) -> tuple[str, str]:
    """Return body and status of what the monitor answers, words where it has none."""
    if not event.is_end:
        return words, "202"
    answer = shaped(event.job.answer or done(), None, default=False)
    return json.dumps(answer.body), str(answer.status)
