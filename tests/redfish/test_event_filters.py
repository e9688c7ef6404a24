"""Filters of events: each property by itself, together, and over a log as it is."""

from datetime import UTC, datetime
from typing import Any

import pytest

from taskfish.redfish.event_filters import EventFilter, short_message_id
from taskfish.redfish.event_vocabulary import UnknownValueError, origin
from taskfish.redfish.events import Event, resource_created, resource_removed
from taskfish.redfish.messages import task_message
from taskfish.redfish.submitted_events import event_of_test
from taskfish.redfish.task_events import TaskSubject

ROOT = "/redfish/v1"
TASKS = f"{ROOT}/TaskService/Tasks"
SYSTEM, OTHER = f"{ROOT}/Systems/rack7.1", f"{ROOT}/Systems/rack7.10"
VOLUME = f"{SYSTEM}/Storage/1/Volumes/2"
NOW = datetime.now(UTC)


def of_task(name: str, key: str, uri: str, *machines: str) -> Event:
    """Return an event of a task that changes something at a URI."""
    subject = TaskSubject(
        task_id=name, run_id=name, method="POST", uri=uri, machines=machines
    )
    return subject.changed(key, task_message(key, name), NOW)


EVENTS = {
    "reset": of_task("a", "TaskStarted", f"{SYSTEM}/Actions/ComputerSystem.Reset"),
    "volume": of_task("b", "TaskAborted", f"{SYSTEM}/Storage/1/Volumes"),
    "update": of_task("c", "TaskPaused", f"{ROOT}/UpdateService/x", OTHER),
    "made": resource_created(VOLUME),
    "system": resource_removed(SYSTEM),
    "source": resource_created(f"{ROOT}/AggregationService/AggregationSources/rack7"),
    "test": event_of_test(NOW),
}
TASK_EVENTS = {"reset", "volume", "update"}
ALL = set(EVENTS)


def matched(**properties: Any) -> set[str]:
    """Return which of the events a filter lets through."""
    wanted = EventFilter(**properties)
    return {name for name, event in EVENTS.items() if wanted.matches(event)}


@pytest.mark.parametrize(
    ("properties", "wanted"),
    [
        ({}, ALL),
        ({"registry_prefixes": ("TaskEvent",)}, TASK_EVENTS),
        ({"message_ids": ("TaskEvent.TaskStarted",)}, {"reset"}),
        ({"message_ids": ("TaskEvent.1.0.TaskStarted",)}, {"reset"}),
        ({"message_ids": ("TaskEvent.2.9.7.TaskStarted",)}, {"reset"}),
        ({"message_ids": ("ResourceEvent.TaskStarted",)}, set()),
        (
            {
                "registry_prefixes": ("ResourceEvent",),
                "message_ids": ("TaskEvent.TaskPaused",),
            },
            ALL - {"reset", "volume"},
        ),
        ({"exclude_registry_prefixes": ("TaskEvent",)}, ALL - TASK_EVENTS),
        ({"exclude_message_ids": ("TaskEvent.1.0.TaskPaused",)}, ALL - {"update"}),
        (
            {
                "registry_prefixes": ("TaskEvent",),
                "exclude_message_ids": ("TaskEvent.TaskPaused",),
            },
            {"reset", "volume"},
        ),
        ({"resource_types": ("Task",)}, TASK_EVENTS),
        ({"resource_types": ("Volume", "ComputerSystem")}, {"made", "system"}),
        ({"severities": ("Critical",)}, {"volume"}),
        ({"severities": ("Critical", "Warning")}, {"volume", "update"}),
        ({"kinds": ("StatusChange",)}, TASK_EVENTS),
        ({"kinds": ("ResourceAdded", "ResourceRemoved")}, {"made", "system", "source"}),
        (
            {"severities": ("OK",), "resource_types": ("Task",)},
            {"reset"},
        ),
    ],
)
def test_filter_lets_through(properties: dict[str, Any], wanted: set[str]) -> None:
    assert matched(**properties) == wanted


@pytest.mark.parametrize(
    ("uri", "itself", "with_subordinates"),
    [
        (f"{TASKS}/a", {"reset"}, {"reset"}),
        (TASKS, TASK_EVENTS, TASK_EVENTS),
        (
            SYSTEM,
            {"system", "reset", "volume"},
            {"system", "reset", "volume", "made"},
        ),
        (OTHER, {"update"}, {"update"}),
        (f"{ROOT}/Systems", ALL - {"made", "source", "test"}, ALL - {"source", "test"}),
        (f"{SYSTEM}/Storage/1/Volumes", {"made", "volume"}, {"made", "volume"}),
        (f"{ROOT}/Chassis/rack7.1", set(), set()),
        (f"{ROOT}/EventService", {"test"}, {"test"}),
    ],
)
def test_origin_is_a_task_its_collection_or_its_machine(
    uri: str, itself: set[str], with_subordinates: set[str]
) -> None:
    assert matched(origins=(uri,)) == itself
    assert matched(origins=(f"{uri}/",)) == itself
    found = matched(origins=(uri,), subordinate_resources=True)
    assert found == with_subordinates


def test_one_of_several_origins_is_enough() -> None:
    assert matched(origins=(f"{TASKS}/a", OTHER)) == {"reset", "update"}


def test_all_is_below_the_root() -> None:
    assert matched(origins=(ROOT,), subordinate_resources=True) == ALL


@pytest.mark.parametrize(
    ("given", "short"),
    [
        ("TaskEvent.1.0.TaskStarted", "TaskEvent.TaskStarted"),
        ("TaskEvent.TaskStarted", "TaskEvent.TaskStarted"),
        ("TaskEvent", "TaskEvent"),
        ("", ""),
    ],
)
def test_versions_are_left_out(given: str, short: str) -> None:
    assert short_message_id(given) == short


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/",
        "/redfish",
        f"{ROOT}/Nothing",
        f"{ROOT}/Systems/nobody",
        f"{ROOT}/Systems/nobody/Storage/1",
        f"{ROOT}/Systems/taskfish",
        f"{SYSTEM}/Nothing",
        f"{SYSTEM}?x",
        f"{SYSTEM}#/Status",
        f"{SYSTEM}\n",
        f"http://host{ROOT}/Systems",
    ],
)
def test_origin_that_cannot_be_is_refused(uri: str) -> None:
    with pytest.raises(UnknownValueError):
        origin(uri)


@pytest.mark.parametrize(
    "uri",
    [ROOT, TASKS, f"{TASKS}/a", SYSTEM, VOLUME, f"{ROOT}/Managers/taskfish"],
)
def test_origin_that_may_be_is_kept_without_its_slash(uri: str) -> None:
    assert origin(f"{uri}/") == uri
