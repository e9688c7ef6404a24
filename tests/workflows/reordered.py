"""Workflows with their commands in another order: a replay must refuse them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from activities.adoption import ADOPTED_TASK, FoundTask
    from activities.progress import Ended
    from taskfish.plugins.protocol import Accepted
    from taskfish.redfish.task import Answer, Outcome
    from taskfish.temporal import PLUGIN_TASK
    from workflows import plugin_calls
    from workflows.add_aggregation_source import AddAggregationSource, NewSource
    from workflows.adopted_task import AdoptedTask
    from workflows.event_delivery import EventDelivery
    from workflows.following import Following
    from workflows.operation import Operation
    from workflows.plugin_operation import PluginOperation
    from workflows.task import finished
    from workflows.watch_source import WatchSource


@workflow.defn(dynamic=True)
class ShowsBeforeSending(PluginOperation):
    """Waits a moment before it sends."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Answer:
        """Sleep, then do the same as ever."""
        await workflow.sleep(timedelta(seconds=1))
        return await super().run(args)


class WaitingBeforeShowing(Following):
    """Starts to wait before it shows whose task it waits for: two commands swapped."""

    async def outcome(self) -> Outcome:
        """Wait, show, and do what follows for an end that the source has told."""
        waiting = self._wait(None)
        name = f"{self._operation.source} {self._task.uri}"
        self._show(self._source_state, "too late", PLUGIN_TASK.value_set(name))
        completion = await finished(waiting)
        assert isinstance(completion, Ended), "recorded so"
        return self._ended(completion)


@workflow.defn(dynamic=True)
class FollowsBeforeShowing(PluginOperation):
    """Starts to wait for the source's task before it shows it."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Answer:
        """Do the same as ever, but for `_follow`."""
        return await super().run(args)

    async def _follow(self, accepted: Accepted) -> Outcome:
        return await WaitingBeforeShowing(
            self._operation, self._key, accepted, self, None, self._show, None
        ).outcome()


@workflow.defn(dynamic=True)
class FollowsBeforeSending(PluginOperation):
    """Waits for a task that it has not yet asked for."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Answer:
        """Look first, then send."""
        (raw,) = args
        operation = workflow.payload_converter().from_payload(raw.payload, Operation)
        self._operation = operation
        key = self._journal_key(1)
        await plugin_calls.look(operation, key, "nobody knows yet", deadline=None)
        return await super().run(args)


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


@workflow.defn(name="EventDelivery")
class SleepsBeforeDelivering(EventDelivery):
    """Waits a moment before it delivers."""

    @workflow.run
    async def run(self, subscription_id: str) -> None:
        """Sleep first."""
        await workflow.sleep(timedelta(seconds=1))
        await super().run(subscription_id)


@workflow.defn(name=ADOPTED_TASK)
class SleepsBeforeFollowing(AdoptedTask):
    """Waits a moment before it follows."""

    @workflow.run
    async def run(self, found: FoundTask) -> Answer:
        """Sleep first."""
        await workflow.sleep(timedelta(seconds=1))
        return await super().run(found)


OPERATIONS: tuple[type[Any], ...] = (
    ShowsBeforeSending,
    FollowsBeforeShowing,
    FollowsBeforeSending,
)
