"""What lists and filters know of a task: its search attributes (contracts.md 1)."""

from dataclasses import dataclass
from typing import Any

from temporalio.common import SearchAttributeKey, TypedSearchAttributes

from taskfish.redfish.task import TaskState
from taskfish.temporal import (
    PLUGIN_TASK,
    TASK_OPERATION,
    TASK_OWNER,
    TASK_REQUEST_ID,
    TASK_RESOURCE_TYPE,
    TASK_RESOURCES,
    TASK_SOURCE,
    TASK_STATE,
    TASK_TAGS,
)

ADD_SOURCE = "AggregationSource.Create"
"""The operation that changes no machine: it can be cancelled, but not held back."""
_BEFORE_SENDING = (TaskState.NEW, TaskState.PENDING, TaskState.SUSPENDED)


@dataclass(frozen=True)
class TaskLabels:
    """What a task is about, and its state as its workflow has last shown it.

    `plugin_task` is the source's own name of its task, a URI there.
    """

    operation: str
    state: TaskState
    owner: str = ""
    source: str = ""
    resource_type: str = ""
    request_id: str | None = None
    tags: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    plugin_task: str | None = None

    @property
    def adds_source(self) -> bool:
        """Whether it adds a source: no change of a machine, and never held back."""
        return self.operation == ADD_SOURCE

    @property
    def may_have_been_sent(self) -> bool:
        """Whether the source may know of the change."""
        return self.plugin_task is not None or self.state not in _BEFORE_SENDING


def _state_named(name: str) -> TaskState:
    """Return a state by its name; of one that is not known here (a newer version has
    shown it) it is only sure that the task is under way.
    """
    try:
        return TaskState(name or TaskState.NEW)
    except ValueError:
        return TaskState.RUNNING


def labels_of(attributes: TypedSearchAttributes) -> TaskLabels:
    """Read the search attributes of a task.

    By their names: to look for a key compares it with those of all others.
    """
    values: dict[str, Any] = {pair.key.name: pair.value for pair in attributes}

    def text(key: SearchAttributeKey[str]) -> str:
        return values.get(key.name) or ""

    source = text(TASK_SOURCE)
    plugin_task = values.get(PLUGIN_TASK.name)
    return TaskLabels(
        operation=text(TASK_OPERATION),
        state=_state_named(text(TASK_STATE)),
        owner=text(TASK_OWNER),
        source=source,
        resource_type=text(TASK_RESOURCE_TYPE),
        request_id=values.get(TASK_REQUEST_ID.name),
        tags=tuple(values.get(TASK_TAGS.name) or ()),
        resources=tuple(values.get(TASK_RESOURCES.name) or ()),
        plugin_task=plugin_task and plugin_task.removeprefix(f"{source} "),
    )
