"""Workflows with their commands in another order: a replay must refuse them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from activities.completion import Completion
    from taskfish.plugins.protocol import Accepted
    from taskfish.redfish.task import Answer, Outcome
    from workflows.add_aggregation_source import AddAggregationSource, NewSource
    from workflows.operation import Operation
    from workflows.plugin_operation import PluginOperation
    from workflows.task import conclude
    from workflows.watch_source import WatchSource


@workflow.defn(dynamic=True)
class ShowsBeforeSending(PluginOperation):
    """Waits a moment before it sends."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Answer:
        """Sleep, then do the same as ever."""
        await workflow.sleep(timedelta(seconds=1))
        return await super().run(args)


@workflow.defn(dynamic=True)
class FollowsBeforeShowing(PluginOperation):
    """Starts to wait before it shows whose task it waits for: two commands swapped."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Answer:
        """Do the same as ever, but for `_follow`."""
        return await super().run(args)

    def _await_completion(
        self, accepted: Accepted
    ) -> workflow.ActivityHandle[Completion]:
        waiting = super()._await_completion(accepted)
        super()._show_followed(accepted)
        return waiting

    def _show_followed(self, accepted: Accepted) -> None:
        self._source_state = self._state = accepted.report.state


@workflow.defn(dynamic=True)
class FollowsBeforeSending(PluginOperation):
    """Waits for a task that it has not yet asked for."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Answer:
        """Look first, then send."""
        (raw,) = args
        converter = workflow.payload_converter()
        self._operation = converter.from_payload(raw.payload, Operation)
        self._id = workflow.info().workflow_id
        self._key = self._journal_key(1)
        await self._look("nobody knows yet")
        submission = await self._send_once()
        outcome: Outcome = await self._outcome_of(submission)
        return conclude(outcome)


@workflow.defn(name="AggregationSource.Create")
class WatchesBeforeAdmitting(AddAggregationSource):
    """Starts the watcher of a source that is not there yet."""

    @workflow.run
    async def run(self, new: NewSource) -> Answer:
        """Sleep first."""
        await workflow.sleep(timedelta(seconds=1))
        return await super().run(new)


@workflow.defn(name="WatchSource")
class SleepsBeforeWatching(WatchSource):
    """Waits a moment before it watches."""

    @workflow.run
    async def run(self, source_id: str) -> None:
        """Sleep first."""
        await workflow.sleep(timedelta(seconds=1))
        await super().run(source_id)


OPERATIONS: tuple[type[Any], ...] = (
    ShowsBeforeSending,
    FollowsBeforeShowing,
    FollowsBeforeSending,
)
