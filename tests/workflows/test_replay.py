"""Recorded runs replay with today's code; code in another order does not."""

from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, WorkflowReplayResult
from temporalio.workflow import NondeterminismError

from taskfish.encryption import Keyring
from taskfish.temporal import data_converter
from tests.workflows import reordered
from tests.workflows.recording import HISTORIES, NAMES, TEST_KEY
from tests.workflows.test_history import MOST_EVENTS
from workflows.add_aggregation_source import AddAggregationSource
from workflows.adopted_task import AdoptedTask
from workflows.event_delivery import EventDelivery
from workflows.housekeeping import Housekeeping
from workflows.operations import step_workflows
from workflows.plugin_operation import PluginOperation
from workflows.reconcile_events import ReconcileEvents
from workflows.remove_ended_tasks import RemoveEndedTasks
from workflows.watch_source import WatchSource

WORKFLOWS: tuple[type[Any], ...] = (
    PluginOperation,
    AddAggregationSource,
    AdoptedTask,
    WatchSource,
    Housekeeping,
    RemoveEndedTasks,
    EventDelivery,
    ReconcileEvents,
    *step_workflows(),
)
MOST_OF_OPERATION = 80
"""Events of an operation of six steps."""
STATUS = {
    "completed_polled": "COMPLETED",
    "completed_sync": "COMPLETED",
    "completed_paused": "COMPLETED",
    "completed_secret": "COMPLETED",
    "failed": "FAILED",
    "refused": "FAILED",
    "cancelled_following": "CANCELED",
    "cancelled_sending": "CANCELED",
    "cancelled_unsent": "CANCELED",
    "cancelled_by_source": "CANCELED",
    "abort_refused": "COMPLETED",
    "abort_asked_again": "CANCELED",
    "deadline_passed": "FAILED",
    "suspended_unsent": "COMPLETED",
    "suspended_at_source": "COMPLETED",
    "tagged": "COMPLETED",
    "resumed_at_source": "COMPLETED",
    "queued": "COMPLETED",
    "queue_timed_out": "FAILED",
    "superseding": "COMPLETED",
    "on_reset_by_gateway": "COMPLETED",
    "on_reset_by_source": "COMPLETED",
    "on_reset_kept_by_source": "COMPLETED",
    "in_window": "COMPLETED",
    "window_suspended": "COMPLETED",
    "completed_told": "COMPLETED",
    "cancelled_told": "CANCELED",
    "answer_found": "COMPLETED",
    "not_sent_first": "COMPLETED",
    "task_forgotten": "FAILED",
    "operation_completed": "COMPLETED",
    "operation_on_reset": "COMPLETED",
    "operation_forced": "COMPLETED",
    "operation_undone": "FAILED",
    "operation_cancelled": "CANCELED",
    "operation_overdue": "FAILED",
    "operation_after_reset": "COMPLETED",
    "operation_out_of_queue": "COMPLETED",
    "operation_suspended_queued": "COMPLETED",
    "step_forced_off": "COMPLETED",
    "step_superseding": "COMPLETED",
    "firmware_applied": "COMPLETED",
    "firmware_reset": "COMPLETED",
    "plan_completed": "COMPLETED",
    "plan_undone": "FAILED",
    "state_seen": "COMPLETED",
    "state_overdue": "FAILED",
    "outcome_unknown": "FAILED",
    "bulk_goes_on": "COMPLETED",
    "bulk_cancelled": "CANCELED",
    "source_added": "COMPLETED",
    "source_refused": "FAILED",
    "source_cancelled": "CANCELED",
    "source_added_in_time": "COMPLETED",
    "source_overdue": "FAILED",
    "source_cancelled_by_name": "CANCELED",
    "adopted_completed": "COMPLETED",
    "adopted_cancelled": "CANCELED",
    "adopted_suspended": "COMPLETED",
    "adopted_lost": "FAILED",
    "adopted_ended": "COMPLETED",
    "source_watched": "COMPLETED",
    "housekeeping": "COMPLETED",
    "housekeeping_removing": "COMPLETED",
    "tasks_removed": "COMPLETED",
    "events_delivered": "COMPLETED",
    "events_reconciled": "CANCELED",
}


def history(name: str) -> WorkflowHistory:
    """Return a recorded history, with its workflow id: those of steps begin with it."""
    text = (HISTORIES / f"{name}.json").read_text()
    first = WorkflowHistory.from_json(name, text).events[0]
    started = first.workflow_execution_started_event_attributes
    return WorkflowHistory.from_json(started.workflow_id or name, text)


async def replayed(
    name: str, workflows: tuple[type[Any], ...] = WORKFLOWS
) -> WorkflowReplayResult:
    """Replay a history in the sandbox."""
    converter = data_converter(Keyring([TEST_KEY]))
    replayer = Replayer(workflows=workflows, data_converter=converter)
    return await replayer.replay_workflow(history(name), raise_on_replay_failure=False)


@pytest.mark.parametrize("name", NAMES)
async def test_recorded_run_replays(name: str) -> None:
    result = await replayed(name)
    assert result.replay_failure is None


@pytest.mark.parametrize("name", NAMES)
def test_recorded_run_ended_as_its_name_says(name: str) -> None:
    last = history(name).events[-1]
    attributes = last.WhichOneof("attributes")
    assert attributes is not None
    assert STATUS[name].lower() in attributes


def test_every_recording_is_known() -> None:
    assert [path.stem for path in sorted(Path(HISTORIES).glob("*.json"))] == NAMES


def test_recorded_completed_change_is_short() -> None:
    assert len(history("completed_polled").events) <= MOST_EVENTS


def test_recorded_operation_is_short() -> None:
    assert len(history("operation_completed").events) <= MOST_OF_OPERATION


def test_recordings_are_unreadable() -> None:
    for path in HISTORIES.glob("*.json"):
        text = path.read_text()
        assert "ResetType" not in text
        assert "monitor" not in text.replace("TaskMonitors", "")


@pytest.mark.parametrize("variant", reordered.OPERATIONS)
@pytest.mark.parametrize(
    "name", ["completed_polled", "cancelled_following", "completed_told"]
)
async def test_reordered_operation_does_not_replay(
    name: str, variant: type[Any]
) -> None:
    result = await replayed(name, (variant,))
    assert isinstance(result.replay_failure, NondeterminismError)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("source_added", reordered.WatchesBeforeAdmitting),
        ("source_watched", reordered.SleepsBeforeWatching),
        ("adopted_completed", reordered.SleepsBeforeFollowing),
        ("events_delivered", reordered.SleepsBeforeDelivering),
    ],
)
async def test_reordered_workflow_does_not_replay(
    name: str, variant: type[Any]
) -> None:
    result = await replayed(name, (variant,))
    assert isinstance(result.replay_failure, NondeterminismError)
