"""Wait for a source's own task (D3): one long activity, whatever the task takes."""

from datetime import UTC, datetime
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from activities.errors import as_application_errors
from activities.finishing import finish
from activities.heartbeat import heartbeating
from activities.machine_state import MachineState
from activities.news import Listening, NewsDesk
from activities.progress import (
    SOURCE_CANCELLED,
    SUSPENDED_MEMO,
    Completion,
    DeadlinePassed,
    Ended,
    FollowRequest,
    Observed,
    Progress,
    first_progress,
)
from activities.waiting import Waiting
from taskfish.errors import (
    SourceUnreachableError,
    StoreUnavailableError,
    TemporalUnavailableError,
)
from taskfish.plugins.connections import Connections
from taskfish.redfish.echoes import Echoes
from taskfish.redfish.limits import MAX_JOURNAL_BODY, cut
from taskfish.redfish.task import PluginTask, TaskReport, TaskState
from taskfish.redfish.task_events import TaskSubject
from taskfish.store.event_log import EventLog
from taskfish.store.journal import Journal
from taskfish.store.secret_bodies import SecretBodies
from taskfish.temporal import RPC_TIMEOUT

_CANCELLED = (TaskState.CANCELLED, TaskState.KILLED)


class CompletionActivities:
    """The activity that waits, given what it needs by the composition root."""

    def __init__(
        self,
        client: Client,
        connections: Connections,
        journal: Journal,
        secret_bodies: SecretBodies,
        machine_state: MachineState,
        event_log: EventLog,
        news: NewsDesk,
    ) -> None:
        self._client = client
        self._connections = connections
        self._journal = journal
        self._secret_bodies = secret_bodies
        self._machine_state = machine_state
        self._event_log = event_log
        self._news = news

    @activity.defn
    async def await_completion(self, request: FollowRequest) -> Completion:
        """Poll until the task has ended; a retry goes on from the heartbeat's details.

        A source that cannot be reached is waited for; only the source or the deadline
        can end this.
        """
        with as_application_errors(request.uri):
            entry = await self._journal.entry(request.key)
            progress = _resumed() or first_progress(request)
            async with heartbeating(progress) as beat:
                if entry is not None and entry.final is not None:
                    report = TaskReport.model_validate(entry.final)
                    completion: Completion = Ended(report=report)
                else:
                    echoes = await self._echoes(request)
                    with self._news.listening(request.task) as listening:
                        waiting = Waiting(
                            self, request, progress, beat, echoes, listening
                        )
                        completion = await self._wait(request, waiting)
                power_state = await self._power_state(request, completion)
            if isinstance(completion, Ended) and completion.report.state in _CANCELLED:
                await self._cancel_workflow()
            return completion.model_copy(update={"power_state": power_state})

    async def _power_state(
        self, request: FollowRequest, completion: Completion
    ) -> str | None:
        """Read the machine's PowerState after the end, or at the end of the grace; a
        stop of the worker breaks this off no more than the last poll.
        """
        if isinstance(completion, DeadlinePassed) and request.grace_after is None:
            return None
        reading = self._machine_state.refresh(request.source, request.uri)
        return await finish(reading)

    async def _wait(self, request: FollowRequest, waiting: Waiting) -> Completion:
        """Poll until the end and journal it; a stop of the worker breaks off neither
        the poll that brings it nor the journaling.
        """
        completion = await waiting.until_ended()
        if isinstance(completion, Ended):
            await finish(self._keep(request, completion.report))
        return completion

    async def _echoes(self, request: FollowRequest) -> Echoes:
        """Return the request's secrets, which are kept until its task has ended."""
        if request.secret_body is None:
            return Echoes(None)
        return Echoes(await self._secret_bodies.get(request.secret_body))

    async def _cancel_workflow(self) -> None:
        """Have the workflow end as cancelled, as only Temporal can make it end."""
        try:
            await self._workflow().cancel(
                reason=SOURCE_CANCELLED, rpc_timeout=RPC_TIMEOUT
            )
        except RPCError as error:
            raise TemporalUnavailableError(str(error)) from error

    def _workflow(self) -> WorkflowHandle[Any, Any]:
        info = activity.info()
        assert info.workflow_id is not None, "started by a workflow"
        return self._client.get_workflow_handle(
            info.workflow_id, run_id=info.workflow_run_id
        )

    async def poll(
        self, source: str, task: PluginTask, listening: Listening
    ) -> tuple[TaskReport, float]:
        """Ask the source once; return its report and the usual pause between polls.

        Its news are listened to from then on, and those of the plugin before it.
        """
        async with self._connections.open(source) as connection:
            listening.listen_to(source, connection.access.source.options.plugin)
            if connection.refused:
                raise SourceUnreachableError(
                    "the source refused the gateway's credentials; it is not asked "
                    "again until they are changed"
                )
            pause = connection.access.source.options.poll_seconds
            return await connection.poll(task), pause

    async def is_suspended(self) -> bool:
        """Say whether an operator has suspended the task, as its memo tells."""
        try:
            found = await self._workflow().describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            activity.logger.info("the memo was not read: %s", error.status.name)
            return False
        return (await found.memo()).get(SUSPENDED_MEMO) is not None

    async def tell_workflow(self, observed: Observed) -> None:
        """Signal a change of state; a lost one is made good by the next."""
        try:
            await self._workflow().signal("observed", observed, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            activity.logger.info("the state was not signalled: %s", error.status.name)

    async def tell_progress(self, subject: TaskSubject, percent: int) -> bool:
        """Append the progress to the event log; say whether that worked: a lost one
        is made good by the next.
        """
        try:
            await self._event_log.append(subject.progressed(percent, datetime.now(UTC)))
        except StoreUnavailableError as error:
            activity.logger.info("the progress is not in the event log: %s", error)
            return False
        return True

    async def _keep(self, request: FollowRequest, report: TaskReport) -> None:
        assert report.answer is not None, "an ended task has an answer"
        short = report.model_copy(
            update={"answer": cut(report.answer, MAX_JOURNAL_BODY)}
        )
        try:
            await self._journal.finished(
                request.key,
                short.model_dump(mode="json", by_alias=True),
                created=next(iter(report.created), None),
                started=report.started,
            )
        except StoreUnavailableError:
            activity.logger.warning("the end of %s is not journaled", request.key)


def _resumed() -> Progress | None:
    """Return what the attempt before this one had last seen."""
    details = activity.info().heartbeat_details
    return Progress.model_validate(details[0]) if details else None
