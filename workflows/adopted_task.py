"""A task that others have started at a source, as a task here (D12)."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.adoption import ADOPTED_TASK, FoundTask
    from activities.progress import Ended, Lost
    from activities.submission import Submission, Unknown
    from taskfish.plugins.protocol import Accepted, Change
    from taskfish.redfish.messages import base_message
    from taskfish.redfish.task import Answer, Outcome
    from taskfish.redfish.task_events import TaskSubject
    from taskfish.redfish.verdicts import failed_answer, failed_outcome
    from taskfish.store.adopted_tasks import adoption_key
    from workflows.events import TaskEvents
    from workflows.following import Following, Show
    from workflows.operation import Operation
    from workflows.orders import Orders
    from workflows.source_task import SourceTask
    from workflows.task import conclude


@workflow.defn(name=ADOPTED_TASK)
class AdoptedTask(SourceTask):
    """Stays with a task of a source until that has ended, and passes orders on to it.

    Nothing was sent and nothing is: there is no deadline, and no second way to find out
    how it ended.
    """

    @workflow.run
    async def run(self, found: FoundTask) -> Answer:
        """Follow, conclude; the result is what its source says of the end."""
        self._found = found
        is_told = not found.report.state.ended
        self._events = TaskEvents(found.method or "", found.uri, logs=is_told)
        subject = self._events.subject if is_told else None
        self._following = _FollowingAdopted(found, self, self._show, subject)
        outcome = await self._following.outcome()
        return conclude(await self._events.end(outcome))

    @workflow.query(name="task")
    def task(self) -> dict[str, str]:
        """Return state and task for the Web UI; `GET Task` needs no worker."""
        return {"TaskState": self._state, "Task": self._found.task.uri}


class _FollowingAdopted(Following):
    """Follows a task that was not started here: only its source's word counts."""

    def __init__(
        self, found: FoundTask, orders: Orders, show: Show, subject: TaskSubject | None
    ) -> None:
        super().__init__(
            _followed(found),
            adoption_key(found.task_id),
            Accepted(task=found.task, report=found.report),
            orders,
            None,
            show,
            subject,
        )
        self._found = found

    @property
    def _what(self) -> str:
        return f"The task {self._found.name}"

    def _judged(self, ended: Ended) -> Outcome:
        """Judge by the source's word, also of when it has ended."""
        outcome = super()._judged(ended)
        return outcome.model_copy(update={"ended": ended.report.ended})

    async def _look(self, lost: Lost, *, once: bool) -> Submission:
        """Find nothing: what the machine shows now may be anybody's doing."""
        return Unknown(reason=lost.reason)

    def _unknown(self, reason: str) -> Outcome:
        found = self._found
        message = base_message(
            "OperationFailed",
            text=f"How {found.task.uri} of the source {found.source} ended is unknown: "
            f"{reason}.",
            resolution=f"Read {found.uri.partition('/Actions/')[0]} to see what it has "
            "done, or ask whoever has started it.",
        )
        return failed_outcome(self._id, failed_answer(message))


def _followed(found: FoundTask) -> Operation:
    """Return what following needs to know of a change, of which nothing is sent."""
    return Operation(
        operation=ADOPTED_TASK,
        source=found.source,
        change=Change(method=found.method or "POST", uri=found.uri),
        submit_deadline=0,
        answer_timeout=0,
        heartbeat_timeout=found.heartbeat_timeout,
        interrupted_after=found.interrupted_after,
        logs_events=not found.report.state.ended,
    )
