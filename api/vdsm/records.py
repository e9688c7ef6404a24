"""A task in VDSM's words: its states, its codes, and the records of its verbs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from api.task_view import TaskView
from taskfish.redfish.task import TaskState

Record = dict[str, JsonValue]
SUCCESS, GENERAL_EXCEPTION, TASK_ABORTED = 0, 100, 411
"""VDSM's codes of a task: nothing is wrong, it has failed, it was ended."""


@dataclass(frozen=True)
class Stage:
    """What VDSM calls a state of a task: `state` is the inner one that getAllTasks
    tells, `public` and `result` are what the older verbs tell, `job` is a job's status.
    """

    state: str
    public: Literal["unknown", "init", "running", "finished", "aborting", "cleaning"]
    job: Literal["pending", "running", "aborting", "done", "aborted", "failed"]
    result: Literal["", "success", "cleanSuccess", "cleanFailure"] = ""
    code: int = SUCCESS


STAGES: Mapping[TaskState, Stage] = {
    TaskState.NEW: Stage("init", "init", "pending"),
    TaskState.PENDING: Stage("queued", "running", "pending"),
    TaskState.STARTING: Stage("preparing", "running", "running"),
    TaskState.RUNNING: Stage("running", "running", "running"),
    TaskState.SERVICE: Stage("running", "running", "running"),
    TaskState.SUSPENDED: Stage("blocked", "running", "running"),
    TaskState.INTERRUPTED: Stage("blocked", "running", "running"),
    TaskState.STOPPING: Stage("recovering", "cleaning", "aborting"),
    TaskState.CANCELLING: Stage("aborting", "aborting", "aborting"),
    TaskState.COMPLETED: Stage("finished", "finished", "done", "success"),
    TaskState.CANCELLED: Stage(
        "recovered", "finished", "aborted", "cleanSuccess", TASK_ABORTED
    ),
    TaskState.KILLED: Stage(
        "failed", "finished", "aborted", "cleanFailure", TASK_ABORTED
    ),
    TaskState.EXCEPTION: Stage(
        "failed", "finished", "failed", "cleanFailure", GENERAL_EXCEPTION
    ),
}


def details(view: TaskView) -> Record:
    """Return the record of getAllTasks. `result` is how it ended: what its source has
    answered is its owner's, and is read at its monitor.
    """
    stage = STAGES[view.state]
    return {
        **info(view),
        "state": stage.state,
        "code": stage.code,
        "message": _message(view),
        "result": stage.result,
        "tag": ",".join(view.labels.tags),
    }


def info(view: TaskView) -> Record:
    """Return the record of getInfo."""
    return {"id": view.id, "verb": view.labels.operation}


def status(view: TaskView) -> Record:
    """Return the record of getStatus."""
    stage = STAGES[view.state]
    return {
        "taskID": view.id,
        "taskState": stage.public,
        "taskResult": stage.result,
        "code": stage.code,
        "message": _message(view),
    }


def job(view: TaskView) -> Record:
    """Return the record of getJobs; what nobody knows is not there."""
    stage = STAGES[view.state]
    record: Record = {
        "id": view.id,
        "status": stage.job,
        "description": view.request.name,
        "job_type": view.labels.operation,
    }
    if view.percent is not None:
        record["progress"] = view.percent
    if stage.code != SUCCESS:
        record["error"] = {"code": stage.code, "message": _message(view)}
    return record


def _message(view: TaskView) -> str:
    """Return what it said last, its state if it has said nothing yet."""
    return view.messages[-1].message if view.messages else view.state.value
