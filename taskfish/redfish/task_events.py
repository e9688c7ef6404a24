"""The events of a task: which message each change of its state is (TaskEvent 1.0)."""

from collections.abc import Iterator
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from taskfish.redfish.events import (
    Event,
    EventKind,
    TaskStep,
    resource_created,
    resource_removed,
)
from taskfish.redfish.messages import Message, task_message
from taskfish.redfish.resources import TASKS
from taskfish.redfish.task import Outcome, TaskState

END, KILLED, REMOVED = "end", "killed", "removed"
"""A killed task may have told of its end already: that it was killed comes last."""
PROGRESS = "percent-"
"""What the steps of a task's progress begin with."""
_BEGUN = (TaskState.STARTING, TaskState.RUNNING, TaskState.SERVICE)
_PAUSED = (TaskState.SUSPENDED, TaskState.INTERRUPTED)


class TaskSubject(BaseModel):
    """The run of a task that events are about: whose it is, and what it changes.

    `method` and `uri` are its request's; `machines` the URIs of the members it touches.
    """

    model_config = ConfigDict(frozen=True)

    task_id: str
    run_id: str
    owner: str = ""
    method: str
    uri: str
    machines: tuple[str, ...] = ()

    def changed(
        self, step: str, message: Message, at: datetime, percent: int | None = None
    ) -> Event:
        """Return the event of a change of the task's state or progress."""
        return Event(
            at=at,
            kind=EventKind.STATUS_CHANGE,
            message=message,
            origin=task_or_step_uri(self.task_id),
            resource_type="Task",
            concerns=self._concerns,
            owner=self.owner or None,
            task=self._step(step, percent),
        )

    def progressed(self, percent: int, at: datetime) -> Event:
        """Return the event of a task that is so far now."""
        message = progress_message(self.task_id, percent)
        return self.changed(f"{PROGRESS}{percent}", message, at, percent)

    def ended(self, outcome: Outcome, at: datetime) -> Iterator[Event]:
        """Yield the events of the task's end: what it has made or removed, and itself
        last.
        """
        for number, uri in enumerate(outcome.created):
            yield resource_created(
                uri, at=at, owner=self.owner or None, task=self._step(f"made-{number}")
            )
        is_gone = outcome.state is TaskState.COMPLETED and self.method == "DELETE"
        if is_gone:
            yield resource_removed(
                self.uri, at=at, owner=self.owner or None, task=self._step("unmade")
            )
        yield self.changed(END, outcome.messages[-1], at)

    def removed(self, at: datetime) -> Event:
        """Return the event of the task's removal."""
        message = task_message("TaskRemoved", self.task_id)
        return self.changed(REMOVED, message, at)

    @property
    def _concerns(self) -> tuple[str, ...]:
        resource = self.uri.partition("/Actions/")[0]
        return tuple(dict.fromkeys((resource, *self.machines)))

    def _step(self, step: str, percent: int | None = None) -> TaskStep:
        return TaskStep(
            task_id=self.task_id, run_id=self.run_id, step=step, percent=percent
        )


def task_or_step_uri(workflow_id: str) -> str:
    """Return the URI of the Task, or of the SubTask, that a workflow is; there is none
    of the steps of a step (Task v1.7.4 has one level).
    """
    task_id, *steps = workflow_id.split(":")
    return f"{TASKS}/{task_id}/SubTasks/{steps[0]}" if steps else f"{TASKS}/{task_id}"


def is_told_of_id(workflow_id: str) -> bool:
    """Say whether there is a resource whose events a workflow's are: a Task, or the
    SubTask of one. Of the steps of a step nobody is told.
    """
    return workflow_id.count(":") <= 1


class TaskStory:
    """What was told of a task's states so far, and what the next one is told as.

    An earlier run may have told up to a `state`.
    """

    def __init__(self, subject: TaskSubject, state: TaskState = TaskState.NEW) -> None:
        self._subject = subject
        self._state = state
        self._has_begun = state in _BEGUN
        self._number = 0

    def next(self, state: TaskState, percent: int, at: datetime) -> Event | None:
        """Return the event of a new state; None if it tells nothing new."""
        before, self._state = self._state, state
        if state is before:
            return None
        message = self._message(before, percent)
        if message is None:
            return None
        self._number += 1
        return self._subject.changed(f"state-{self._number}", message, at)

    def _message(self, before: TaskState, percent: int) -> Message | None:
        """Return the registry's message; what it has none for is a progress in words.

        A start is told once, be it seen as Starting or as Running.
        """
        state, task_id = self._state, self._subject.task_id
        if state in _BEGUN and not self._has_begun:
            self._has_begun = True
            return task_message("TaskStarted", task_id)
        if state in _PAUSED:
            text = f"The task {task_id} was paused: it is {state.value}."
            return task_message("TaskPaused", task_id, text=text)
        if before in _PAUSED and state in _BEGUN:
            return task_message("TaskResumed", task_id)
        if before in _BEGUN and state is TaskState.RUNNING:
            return None
        text = f"The task {task_id} is {state.value}."
        return task_message("TaskProgressChanged", task_id, f"{percent}", text=text)


def progress_message(task_id: str, percent: int) -> Message:
    """Return the message of a task that is so far."""
    return task_message("TaskProgressChanged", task_id, str(percent))
