"""What operators may do in Temporal sends nothing twice: reset, pause, retry."""

import httpx
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
)

from tests.house import House
from tests.worker_process import worker_process
from tests.workflows.houses import (
    FIRST,
    LAST,
    event_names,
    history_of,
    reset_workflow,
    until,
    until_begun,
    until_executed,
    words_of,
)


def execution(accepted: httpx.Response) -> WorkflowExecution:
    """Name a task's workflow in Temporal's own API."""
    return WorkflowExecution(workflow_id=accepted.json()["Id"])


@pytest.mark.parametrize("point", [FIRST, LAST])
async def test_reset_of_an_ended_workflow_sends_nothing(bmc: House, point: int) -> None:
    bmc.emulator.set_modes("bmc1", one_shot_monitor=True)
    accepted = await bmc.create_volume("bmc1.1")
    first = await bmc.final(accepted)
    await reset_workflow(bmc, accepted, point)
    again = await bmc.final(accepted)
    assert (await bmc.task(accepted))["TaskState"] == "Completed"
    assert again.headers["Location"] == first.headers["Location"]
    assert again.json() == first.json()
    assert bmc.executions("bmc1") == 1


@pytest.mark.parametrize("answer", ["task", "sync"])
async def test_reset_behind_a_plugin_sends_nothing(node: House, answer: str) -> None:
    node.emulator.set_modes("node1", answer=answer)
    accepted = await node.create_volume("node1.1")
    await node.ended(accepted)
    await reset_workflow(node, accepted, FIRST)
    assert (await node.final(accepted)).status_code == 201
    assert node.executions("node1") == 1


async def test_reset_of_a_running_workflow_follows_the_same_task(bmc: House) -> None:
    """Its signals come again, before it has begun."""
    bmc.emulator.set_modes("bmc1", pause_at=30)
    accepted = await bmc.create_volume("bmc1.1")
    await bmc.until(accepted, "Suspended")

    async def is_noted() -> bool:
        return "WORKFLOW_EXECUTION_SIGNALED" in event_names(
            await history_of(bmc, accepted)
        )

    await until(is_noted)
    await reset_workflow(bmc, accepted, FIRST)
    await bmc.until(accepted, "Suspended")
    bmc.emulator.set_modes("bmc1", pause_at=None)
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Completed", words_of(task)
    assert bmc.executions("bmc1") == 1
    names = event_names(await history_of(bmc, accepted))
    assert names.count("WORKFLOW_TASK_FAILED") == 1  # the reset itself


async def test_reset_while_sending_sends_nothing(bmc: House) -> None:
    """The first submit is still under way; the second finds its row and looks."""
    bmc.emulator.set_modes("bmc1", answer_delay=1)
    accepted = await bmc.create_volume("bmc1.1")
    await until_executed(bmc)
    await reset_workflow(bmc, accepted, FIRST)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1


async def test_reset_of_a_cancelled_source_task(bmc: House) -> None:
    """The journaled end is Cancelled: the new run ends so too."""
    bmc.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    accepted = await bmc.create_volume("bmc1.1")
    await bmc.until(accepted, "Running")
    machine = bmc.emulator.machines["bmc1"]
    machine.abort(next(iter(machine.timeline.jobs.values())))
    assert (await bmc.ended(accepted))["TaskState"] == "Cancelled"
    await reset_workflow(bmc, accepted, FIRST)
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled", words_of(task)
    assert bmc.executions("bmc1") == 1


@pytest.mark.parametrize("resets", [True, False])
async def test_pause_of_submit_sends_nothing_twice(bmc: House, resets: bool) -> None:
    bmc.emulator.set_modes("bmc1", answer_delay=1.5, seconds=3)
    accepted = await bmc.create_volume("bmc1.1")
    await until_executed(bmc)
    service = bmc.temporal.workflow_service
    pause = PauseActivityRequest(
        namespace=bmc.temporal.namespace, execution=execution(accepted), type="submit"
    )
    await service.pause_activity(pause)
    unpause = UnpauseActivityRequest(
        namespace=bmc.temporal.namespace,
        execution=execution(accepted),
        type="submit",
        reset_attempts=resets,
    )
    await service.unpause_activity(unpause)
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Completed", words_of(task)
    assert bmc.executions("bmc1") == 1


async def test_paused_submit_whose_worker_is_killed(
    bmc: House, temporal_address: str
) -> None:
    """It waits for the end of the pause: then its time-out is seen."""
    await bmc.stop_worker()
    bmc.emulator.set_modes("bmc1", answer_delay=30, seconds=1)
    async with worker_process(bmc, temporal_address) as worker:
        accepted = await bmc.create_volume("bmc1.1")
        await until_executed(bmc)
        pause = PauseActivityRequest(
            namespace=bmc.temporal.namespace,
            execution=execution(accepted),
            type="submit",
        )
        await bmc.temporal.workflow_service.pause_activity(pause)
        await worker.kill()
    await bmc.start_worker()
    unpause = UnpauseActivityRequest(
        namespace=bmc.temporal.namespace, execution=execution(accepted), type="submit"
    )
    await bmc.temporal.workflow_service.unpause_activity(unpause)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1


async def test_retry_of_submit_sends_nothing(bmc: House) -> None:
    """An operator resets the activity while its request is on its way."""
    bmc.emulator.set_modes("bmc1", answer_delay=1, seconds=2)
    accepted = await bmc.create_volume("bmc1.1")
    await until_executed(bmc)
    request = ResetActivityRequest(
        namespace=bmc.temporal.namespace, execution=execution(accepted), type="submit"
    )
    await bmc.temporal.workflow_service.reset_activity(request)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1


async def test_retry_of_the_wait_goes_on(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.create_volume("bmc1.1")
    await until_begun(bmc, accepted, "await_completion")
    request = ResetActivityRequest(
        namespace=bmc.temporal.namespace,
        execution=execution(accepted),
        type="await_completion",
    )
    await bmc.temporal.workflow_service.reset_activity(request)
    bmc.emulator.set_modes("bmc1", hang=False)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
