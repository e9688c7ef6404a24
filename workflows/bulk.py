"""Bulk operations: one request to many machines, as one task (issue 7).

A run begins as many steps as Temporal's history limits allow, waits for their ends and
goes on as a new run: continue-as-new, with counts instead of results.
"""

from collections.abc import Callable
from typing import TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from taskfish.redfish.bulk import SIMPLE_UPDATE_MANY
    from taskfish.redfish.task import Answer, Outcome, TaskState
    from taskfish.redfish.verdicts import failed_outcome
    from workflows.bulk_steps import BulkSteps
    from workflows.bulk_verdicts import bulk_outcome
    from workflows.composite import Composite
    from workflows.events import TaskEvents
    from workflows.machine_turn import MachineTurn
    from workflows.orders import Orders
    from workflows.plugin_calls import forget_secret
    from workflows.task import (
        PERCENT_MEMO,
        TASK_MEMO,
        TaskMemo,
        conclude,
        finished,
        show,
    )

Made = TypeVar("Made", bound="type[BulkOperation]")


class BulkOperation(Orders):
    """Runs the steps, shows how far it is, and concludes by how many have failed."""

    def __init__(self, composite: Composite) -> None:
        """Begin where the run before has ended, before any signal comes."""
        super().__init__()
        assert composite.bulk is not None, "the API starts none without"
        self._composite = composite
        self._state = TaskState.NEW
        carried = composite.carried
        if carried is not None:
            self.suspended_by = carried.suspended_by
            self._cancelled_by = carried.cancelled_by
        self._turn = MachineTurn(composite, self, self._show)
        self._steps = BulkSteps(
            composite, composite.bulk, self, self._turn, self._show, self._tell
        )

    @workflow.query(name="task")
    def task(self) -> dict[str, str]:
        """Return state and request for the Web UI; `GET Task` needs no worker."""
        return {"TaskState": self._state, "Request": f"POST {self._composite.uri}"}

    @workflow.query(name="steps")
    def steps(self) -> dict[str, TaskState]:
        """Return the steps that run: the others are thousands, maybe."""
        return dict.fromkeys(self._steps.running, TaskState.RUNNING)

    async def _perform(self) -> Answer:
        """Wait for its turn, run the steps, conclude: the whole story."""
        composite, steps = self._composite, self._steps
        goes_on = composite.carried is not None
        self._events = TaskEvents("POST", composite.uri, logs=True, goes_on=goes_on)
        refusal = await self._turn.take()
        if refusal is not None:
            return await self._end(failed_outcome(self._id, refusal))
        self._show(TaskState.RUNNING, "Begins its steps.")
        await steps.run()
        while steps.goes_on:
            await self._events.settled()
            if steps.goes_on:
                self._go_on()
        return await self._end(bulk_outcome(self._id, steps, self.cancelled_by))

    def _go_on(self) -> None:
        """Go on as a new run; orders that come meanwhile keep this one from its end."""
        info = workflow.info()
        request = workflow.memo_value(TASK_MEMO, type_hint=TaskMemo)
        began = request.began or info.workflow_start_time
        request = request.model_copy(update={"began": began})
        turn = self._composite.turn.model_copy(update={"taken": True, "come": True})
        workflow.continue_as_new(
            self._composite.model_copy(
                update={"carried": self._steps.carried, "turn": turn}
            ),
            # What was upserted would be as it was at the beginning.
            memo={**workflow.memo(), TASK_MEMO: request},
            search_attributes=info.typed_search_attributes,
        )

    async def _end(self, outcome: Outcome) -> Answer:
        """Forget the secrets of all steps, and conclude."""
        secret = self._composite.shared_secret
        if secret is not None:
            seconds = self._composite.limits.heartbeat_timeout
            await finished(forget_secret(secret, seconds))
        return conclude(await self._events.end(outcome))

    @property
    def _id(self) -> str:
        return workflow.info().workflow_id

    def _show(self, state: TaskState, words: str) -> None:
        self._state = state
        show(state, words)
        self._events.show(state, self._steps.percent)

    def _tell(self, percent: int) -> None:
        """Show how far it is."""
        workflow.upsert_memo({PERCENT_MEMO: percent})
        self._events.progress(percent)


BULK_OPERATIONS: dict[str, type[BulkOperation]] = {}
"""Every bulk operation by its name, which is its workflow type."""


def bulk(name: str) -> Callable[[Made], Made]:
    """Make a class the workflow of a bulk operation."""

    def made(operation: Made) -> Made:
        def __init__(self: BulkOperation, composite: Composite) -> None:
            BulkOperation.__init__(self, composite)

        async def run(self: BulkOperation, composite: Composite) -> Answer:
            return await self._perform()

        # As if they were defined in the class: Temporal reads all of this.
        for method in (__init__, run):
            del method.__annotations__["self"]
            method.__qualname__ = f"{operation.__qualname__}.{method.__name__}"
            method.__module__ = operation.__module__
        operation.__init__ = workflow.init(__init__)  # type: ignore[method-assign]
        operation.run = workflow.run(run)  # type: ignore[attr-defined]
        workflow.defn(name=name)(operation)
        BULK_OPERATIONS.setdefault(name, operation)
        return operation

    return made


@bulk("AggregationService.Reset")
class ResetMachines(BulkOperation):
    """Resets systems, chassis and managers."""


@bulk("AggregationService.SetDefaultBootOrder")
class SetDefaultBootOrders(BulkOperation):
    """Gives systems their default boot order."""


@bulk("Aggregate.Reset")
class ResetAggregate(BulkOperation):
    """Resets the elements of an Aggregate."""


@bulk("Aggregate.SetDefaultBootOrder")
class SetDefaultBootOrdersOfAggregate(BulkOperation):
    """Gives the systems of an Aggregate their default boot order."""


@bulk(SIMPLE_UPDATE_MANY)
class SimpleUpdateMany(BulkOperation):
    """Updates the firmware of several sources. Its TaskOperation is that of one, whose
    workflow type is left to those (D2).
    """
