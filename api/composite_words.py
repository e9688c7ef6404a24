"""What an open multi-step operation says of itself: which of its steps run."""

from collections.abc import Sequence

from taskfish.redfish.messages import Message, task_message
from taskfish.redfish.step_plan import PlanMemo
from taskfish.redfish.steps import UNDO
from taskfish.redfish.task import TaskState

MOST_NAMED = 5
"""Steps that are named, if more of them run together."""


def words_of_steps(
    task_id: str, plan: PlanMemo | None, running: Sequence[str], percent: int
) -> list[Message]:
    """Say of each step that runs what it does; of many how many there are."""
    if plan is None or not running:
        return []
    texts = [_doing(plan, name) for name in running[:MOST_NAMED]]
    if len(running) > MOST_NAMED:
        others = len(running) - MOST_NAMED
        texts.append(f"{others} other steps of {len(plan)} run.")
    return [
        task_message("TaskProgressChanged", task_id, f"{percent}", text=text)
        for text in texts
    ]


def cancel_of_steps(state: TaskState) -> str:
    """Say what comes of the cancel of an operation."""
    if state is TaskState.STOPPING:
        return "; what ran has ended, and what was done is undone."
    return "; what runs is ended, then what is done is undone."


def _doing(plan: PlanMemo, name: str) -> str:
    planned = plan.step(name)
    does = f"{planned.method} {planned.uri}" if planned else "it is under way"
    if name.startswith(UNDO):
        return f"The step {name.removeprefix(UNDO)} is being undone: {does}."
    return f"The step {name} runs: {does}."
