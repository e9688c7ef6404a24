"""How a source is asked to pause its task, and to go on with it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from taskfish.errors import PauseRefusedError, PluginTaskGoneError
from taskfish.plugins.answers import (
    GONE,
    passing_fault,
    refuse_credentials,
    refuse_pause,
)
from taskfish.plugins.following import refuse_end_or_other
from taskfish.plugins.reports import report_of
from taskfish.plugins.task_actions import pause_actions
from taskfish.redfish.task import Answer, PluginTask, TaskState

Ask = Callable[[str], Awaitable[Answer]]
"""Makes one call to a URI of the source, past the limit of concurrent calls."""
Verb = Literal["pause", "resume"]


@dataclass(frozen=True)
class Pausing:
    """Pauses and resumes tasks of source `name`: reads by `get`, acts by `post`.

    Every call may be repeated: a source that refuses what has been done already
    refuses nothing.
    """

    name: str
    get: Ask
    post: Ask

    async def pause(self, task: PluginTask) -> None:
        """Ask the source to suspend a task.

        Raises `PauseRefusedError` if the Task does not offer it or the source answers
        4xx, `PluginTaskGoneError` if the task is over or not there.
        """
        await self._act("pause", task)

    async def resume(self, task: PluginTask) -> None:
        """Ask the source to go on with a task; raises what `pause` raises."""
        await self._act("resume", task)

    async def _act(self, verb: Verb, task: PluginTask) -> None:
        shown = await self._shown(task)
        report = report_of(shown)
        refuse_end_or_other(task, report, self.name)
        actions = pause_actions(shown.body)
        if actions is None:
            raise PauseRefusedError(
                f"source {self.name} offers no action to {verb} its task"
            )
        pauses = verb == "pause"
        answer = await self.post(actions.pause if pauses else actions.resume)
        try:
            refuse_pause(answer, verb, self.name)
        except PauseRefusedError:
            if (report.state is TaskState.SUSPENDED) is not pauses:
                raise

    async def _shown(self, task: PluginTask) -> Answer:
        """Return what shows the task's actions: the Task, or else its monitor.

        The Task first, because a monitor may give its final answer only once.
        """
        for uri in (task.task, task.monitor):
            if uri is None:
                continue
            answer = await self.get(uri)
            if answer.status in GONE:
                continue
            refuse_credentials(answer, self.name)
            fault = passing_fault(answer, self.name)
            if fault is not None:
                raise fault
            return answer
        if not task.uri:
            raise PauseRefusedError(f"source {self.name} did not name its task")
        raise PluginTaskGoneError(f"source {self.name} does not know the task any more")
