"""What is said of a task that was killed: its own code could not say it any more."""

from dataclasses import dataclass

from api.task_labels import TaskLabels
from taskfish.redfish.messages import Message, task_message
from taskfish.redfish.step_plan import PlanMemo
from workflows.task import TaskMemo

_STEPS = (
    "Those of its steps that ran were told to end, and nothing that was done is undone."
)
_HOW_TO_UNDO = "Read its SubTasks, and undo by hand what is not wanted."


@dataclass(frozen=True)
class Killing:
    """How a task was terminated: by whom, and how far it was, if that was noted;
    `words` are those that subscribers were told, if whoever killed it has left some.
    """

    by: str = ""
    percent: int | None = None
    words: Message | None = None


def words_of_killed(
    task_id: str,
    request: TaskMemo,
    labels: TaskLabels,
    killing: Killing,
    plan: PlanMemo | None = None,
) -> Message:
    """Say who has killed a task, what its source may still do, and how to look; of a
    multi-step operation, what becomes of its steps.
    """
    if killing.words is not None and killing.words.resolution:
        return killing.words
    how = f"killed by {killing.by}" if killing.by else "terminated in Temporal"
    what = _STEPS if plan is not None else _at_source(request, labels)
    said = task_message(
        "TaskAborted",
        task_id,
        text=f"The task {task_id} was {how}. {what}",
    )
    look = _HOW_TO_UNDO if plan is not None else _how_to_look(request, labels)
    return said.model_copy(update={"resolution": look})


def _at_source(request: TaskMemo, labels: TaskLabels) -> str:
    source = labels.source
    if labels.adds_source:
        return f"The source {source} may not have been added, or not whole."
    if labels.plugin_task:
        its = f"Nothing was aborted: the task {labels.plugin_task} of the source"
        return f"{its} {source} may still go on."
    if labels.may_have_been_sent:
        sent = f"{request.method} {request.uri} may have been sent to the source"
        return f"{sent} {source}, and may still be carried out."
    return f"Nothing had been sent to the source {source}: nothing is done there."


def _how_to_look(request: TaskMemo, labels: TaskLabels) -> str:
    resource = request.uri.partition("/Actions/")[0]
    if labels.adds_source:
        return f"Look for it in {resource}; add it again if it is not there."
    if labels.plugin_task:
        where = f"{labels.plugin_task} at the source {labels.source}"
        return f"Read {where}, and {resource} here, before changing it again."
    if labels.may_have_been_sent:
        return f"Read {resource} to see its state before trying again."
    return "Send the request again if it is still wanted."
