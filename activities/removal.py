"""Remove ended tasks: from Temporal, with what the store keeps for them."""

import asyncio
import logging
from datetime import UTC, datetime

from temporalio.client import Client, WorkflowExecutionDescription

from activities.open_places import token_of
from activities.runs import delete_run, described
from activities.step_removal import StepRemoval
from activities.task_subjects import end_of, first_run_of, is_told_of, subject_of
from taskfish.store.event_log import EventLog
from taskfish.store.journal import Journal
from taskfish.store.monitor_reads import MonitorReads
from taskfish.store.requests import Requests
from taskfish.store.turns import Turns

GONE_SECONDS = 3.0
"""How long Temporal may take to delete what it was told to."""
_POLL = 0.02
_LONGEST_POLL = 0.3

logger = logging.getLogger(__name__)


class TaskRemoval:
    """The one place where a task's run is removed.

    Raises `TemporalUnavailableError` when Temporal is silent.
    """

    def __init__(
        self,
        client: Client,
        journal: Journal,
        monitor_reads: MonitorReads,
        requests: Requests,
        turns: Turns,
        event_log: EventLog,
    ) -> None:
        self._client = client
        self._journal = journal
        self._monitor_reads = monitor_reads
        self._requests = requests
        self._turns = turns
        self._event_log = event_log
        self._steps = StepRemoval(client, journal, event_log)

    async def remove_run(self, task_id: str, run_id: str) -> bool:
        """Delete one ended run, always by its run id; say whether it is gone.

        False: it has not ended (then nothing was done), or Temporal, which deletes in
        the background, still shows it; it will go by itself. Harmless to repeat.
        """
        return await self.begin(task_id, run_id) and await self._goes(task_id, run_id)

    async def begin(self, task_id: str, run_id: str) -> bool:
        """As `remove_run`, without waiting: False only if the run has not ended.

        Its steps go first: what breaks off leaves the task, which is removed again.
        """
        run = await described(self._client, task_id, run_id)
        if run is not None and run.close_time is None:
            return False
        newest = await described(self._client, task_id)
        first_run = run_id if run is None else first_run_of(run)
        is_whole = (
            newest is None
            or run_id == newest.run_id
            or first_run_of(newest) != first_run
        )
        if run is not None:
            if is_whole:
                await self._steps.of_task(run)
            if newest is None or newest.run_id == run_id:
                await self._tell(run)
            await delete_run(self._client, task_id, run_id)
        await self._monitor_reads.forget((task_id, run_id))
        await self._event_log.forget_outcomes([(task_id, run_id)])
        if is_whole:
            await self._forget(task_id, first_run)
            if run is not None:
                await self._turns.leave(await token_of(run) or "")
        return True

    async def orphans(self, ended_before: datetime) -> int:
        """Remove the steps that ended before a moment and whose tasks are no more;
        return how many went.
        """
        return await self._steps.orphans(ended_before)

    async def _tell(self, run: WorkflowExecutionDescription) -> None:
        """Tell subscribers that the task goes, and of its end if nobody has yet; with
        its Id in use by a later run the Task is still there.
        """
        if not await is_told_of(run):
            return
        removed = (await subject_of(run)).removed(datetime.now(UTC))
        await self._event_log.append(await end_of(run), removed)
        message = removed.message
        logger.info("%s %s", message.message_id, message.message)

    async def _forget(self, task_id: str, first_run: str) -> None:
        """Forget a task's request and what it has sent: no later run of a reset task
        stands on them.
        """
        await self._requests.forget(task_id, first_run)
        await self._journal.forget_answers(task_id, first_run)

    async def _goes(self, task_id: str, run_id: str) -> bool:
        """Wait a little until Temporal does not know the run any more."""
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + GONE_SECONDS, _POLL
        while await described(self._client, task_id, run_id) is not None:
            if clock() > deadline:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_POLL)
            # What is told just after the end of the run, Temporal puts off for 3 s.
            await delete_run(self._client, task_id, run_id)
        return True
