"""The task that adds a source: its place is kept before it starts."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from api.errors import refuse
from api.request_headers import TaskWishes
from api.starting import Claim, digest_of
from api.task_request import TaskRequest
from api.task_starter import Start
from taskfish.redfish.operations import OperationName, new_task_id
from taskfish.redfish.resources import AGGREGATION_SOURCES
from taskfish.redfish.secrecy import masked
from taskfish.redfish.sources import Source
from taskfish.redfish.task import Answer
from workflows.add_aggregation_source import NewSource
from workflows.task import TaskMemo
from workflows.time_limits import TimeLimits

LONGEST_START = timedelta(seconds=30)
"""After which a task that was to add a source will not start any more."""


@dataclass(frozen=True)
class NewSourceTask:
    """A source that is to be added. `answer` is what its task ends with."""

    asked: TaskRequest
    source: Source
    answer: Answer
    always_starts: ClassVar[bool] = False

    @property
    def owner(self) -> str:
        """Who asks for it."""
        return self.asked.user.name

    @property
    def wishes(self) -> TaskWishes:
        """What the request's headers ask for."""
        return self.asked.wishes

    @property
    def source_id(self) -> str:
        """The source itself."""
        return self.source.id

    @property
    def digest(self) -> bytes:
        """What tells the request from others."""
        return digest_of("POST", AGGREGATION_SOURCES, self.asked.body, {}, self.wishes)

    def new_id(self) -> str:
        """Return an Id that people can read."""
        return new_task_id(self._operation)

    async def check(self) -> None:
        """Refuse nothing: whether the place is free is seen when it is taken."""

    async def prepare(self, claim: Claim) -> Start:
        """Take the source's place; raise 409 if there is one in it."""
        await self._reserve(claim)
        settings = self.asked.gateway.settings
        return Start(
            task_id=claim.task_id,
            operation=self._operation,
            source=self.source.id,
            owner=self.owner,
            input=NewSource(
                logs_events=True,
                source=self.source.id,
                uri=self.answer.headers["Location"],
                answer=self.answer,
                deadline=self.wishes.timeout or settings.submit_deadline,
                ends_within=self._deadline,
                heartbeat_timeout=settings.heartbeat_timeout,
            ),
            memo=TaskMemo(
                token=claim.token,
                chosen=claim.chosen,
                deadline=self._deadline,
                name=f"Add {self.source.id}",
                method="POST",
                uri=AGGREGATION_SOURCES,
                body=masked(self.asked.body),
            ),
            summary=f"AggregationSource.Create → {self.source.id}",
            request_id=self.wishes.request_id,
            tags=self.wishes.tags,
        )

    async def abandon(self, claim: Claim) -> None:
        """Free the place, unless another try of the same request may need it."""
        if not claim.shared:
            await self.asked.gateway.sources.remove(
                self.source.id, task_id=claim.task_id
            )

    @property
    def _deadline(self) -> float:
        """The caller's, or that of its kind."""
        limits = TimeLimits.model_validate(self.asked.gateway.settings)
        return self.wishes.timeout or limits.deadline_of(self._operation.name)

    @property
    def _operation(self) -> OperationName:
        kind = "AggregationSource"
        return OperationName(f"{kind}.Create", kind, self.source.id)

    async def _reserve(self, claim: Claim) -> None:
        """Keep the source as "adding", unless one is in its place: then 409.

        A place whose task ended without freeing it, or has not started for longer than
        any start takes, is taken over.
        """
        sources, source = self.asked.gateway.sources, self.source
        taken = await sources.add(source, claim.task_id)
        if taken is None:
            return
        adding = taken.state == "adding"
        if adding and claim.shared and taken.task_id == claim.task_id:
            return
        view = await self.asked.gateway.tasks.read(taken.task_id) if adding else None
        late = datetime.now(UTC) - taken.created_at > LONGEST_START
        if adding and (late if view is None else view.state.ended):
            await sources.remove(taken.source.id, task_id=taken.task_id)
            taken = await sources.add(source, claim.task_id)
        if taken is not None:
            same_id = taken.source.id == source.id
            name = "Id" if same_id else "HostName"
            value = source.id if same_id else source.host_name
            raise refuse("ResourceAlreadyExists", "AggregationSource", name, value)
