"""What tests of cancel, pause and kill share: requests, and what reached Temporal."""

from typing import Any

import httpx
from temporalio.api.history.v1 import HistoryEvent

from api.task_reader import TaskReader
from api.task_view import TaskView
from tests.house import House
from tests.workflows.houses import event_names, history_of, until


def task_uri(accepted: httpx.Response) -> str:
    """Return the URI of a 202's Task."""
    uri: str = accepted.json()["@odata.id"]
    return uri


def monitor_uri(accepted: httpx.Response) -> str:
    """Return the URI of a 202's monitor."""
    return accepted.headers["Location"]


async def act(
    house: House, accepted: httpx.Response, verb: str, **request: Any
) -> httpx.Response:
    """Send an action of a Task (Suspend, Resume, Kill) to the target that it shows."""
    task = (await house.client.get(task_uri(accepted))).json()
    offered = task.get("Actions", {}).get("Oem", {}).get(f"#Taskfish.{verb}", {})
    named = f"{task_uri(accepted)}/Actions/Oem/Taskfish.{verb}"
    return await house.client.post(offered.get("target", named), **request)


async def delete(house: House, uri: str, **request: Any) -> httpx.Response:
    """Send DELETE."""
    return await house.client.delete(uri, **request)


async def allowed(house: House, uri: str) -> set[str]:
    """Return what GET says in Allow."""
    response = await house.client.get(uri)
    return set(response.headers["Allow"].split(", "))


def has_started(task: dict[str, Any]) -> bool:
    """Say whether a Task says that it has started."""
    ids = [message["MessageId"] for message in task["Messages"]]
    return any(each.endswith(".TaskStarted") for each in ids)


async def until_followed(
    house: House, accepted: httpx.Response, **says: object
) -> None:
    """Wait until the source's own task was seen, and was seen to say this."""

    async def is_followed() -> bool:
        view = await view_of(house, accepted)
        seen = all(getattr(view, name) == value for name, value in says.items())
        return view.labels.plugin_task is not None and seen

    await until(is_followed)


async def view_of(house: House, accepted: httpx.Response) -> TaskView:
    """Return the view that the API has of a task."""
    view = await TaskReader(house.temporal).read(accepted.json()["Id"])
    assert view is not None
    return view


async def requests_to_cancel(house: House, accepted: httpx.Response) -> tuple[int, int]:
    """Return how often Temporal was asked to cancel, and how often by signal."""
    events = await history_of(house, accepted)
    asked = event_names(events).count("WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    return asked, len(signals(events, "Cancel"))


def signals(events: list[HistoryEvent], name: str) -> list[HistoryEvent]:
    """Return the signals of this name in a history."""
    return [
        event
        for event in events
        if event.workflow_execution_signaled_event_attributes.signal_name == name
    ]
