"""An event of a plugin's task as ODIM reads it (southbound.md B2.3)."""

import json

from taskfish.plugins.machine.answers import Body, success_body
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
    answer = event.job.answer
    body = (answer.body if answer else None) or success_body()
    status = str(answer.status if answer else 202)
    rest = [json.dumps(body) if event.is_end else message.message, status]
    return {
        "EventType": "StatusChange",
        "MemberId": "0",
        "Severity": message.severity,
        "Message": message.message,
        "MessageId": f"{REGISTRY}.{event.key}",
        "MessageArgs": [monitor_id, *percent, *rest],
        "OriginOfCondition": {"@odata.id": f"/taskmon/{monitor_id}"},
    }
