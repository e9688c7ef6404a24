"""The caller's own Task Id: one task at a time, free again when it has ended."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from temporalio.client import Client

from api.task_starter import Start, TaskStarter
from taskfish.redfish.operations import OperationName
from taskfish.store.requests import Requests
from tests.api.answers import message_keys
from tests.house import LONGEST_WAIT, TASKS, House
from workflows.task import TaskMemo

MONITORS = "/redfish/v1/TaskService/TaskMonitors"
RESET = "/redfish/v1/Systems/{}.1/Actions/ComputerSystem.Reset"
FORCE = {"ResetType": "ForceRestart"}


async def reset_as(house: House, task_id: str, machine: str = "bmc1") -> httpx.Response:
    """Send a reset under an Id of our own and return the answer."""
    return await house.client.post(
        RESET.format(machine), json=FORCE, headers={"Task-Id": task_id}
    )


async def runs_of(house: House, task_id: str) -> list[str]:
    """Return the run ids that Temporal's lists have under an Id."""
    query = f"WorkflowId = '{task_id}'"
    return [run.run_id async for run in house.temporal.list_workflows(query)]


async def test_chosen_id_names_the_task(house: House) -> None:
    accepted = await reset_as(house, "rack.7_reset-1")
    run = await house.temporal.get_workflow_handle("rack.7_reset-1").describe()
    assert accepted.status_code == 202
    assert accepted.headers["Task-Id"] == accepted.json()["Id"] == "rack.7_reset-1"
    assert f'<{TASKS}/rack.7_reset-1>; rel="task"' in accepted.headers["Link"]
    monitor = f"{MONITORS}/rack.7_reset-1~{run.run_id}"
    assert accepted.headers["Location"] == accepted.json()["TaskMonitor"] == monitor
    assert (await house.final(accepted)).status_code == 204


async def test_id_in_use_is_refused_with_the_running_task(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await reset_as(house, "in-use")
    await house.until(accepted, "Running")
    refused = await reset_as(house, "in-use", "node1")
    info = refused.json()["error"]["@Message.ExtendedInfo"][0]
    assert accepted.status_code == 202
    assert refused.status_code == 409
    assert message_keys(refused) == ["ResourceInUse"]
    assert info["Oem"]["Taskfish"]["Task"] == {"@odata.id": f"{TASKS}/in-use"}
    assert refused.headers["Link"] == f'<{TASKS}/in-use>; rel="task"'
    assert house.executions("node1") == 0


async def test_refused_request_leaves_nothing_in_the_store(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    await house.until(await reset_as(house, "leaves-nothing"), "Running")
    await reset_as(house, "leaves-nothing", "node1")
    kept = await Requests(house.store).since(datetime.now(UTC) - timedelta(minutes=1))
    assert [row.task_id for row in kept].count("leaves-nothing") == 1


async def test_id_is_free_again_when_its_task_has_ended(house: House) -> None:
    first = await reset_as(house, "again")
    first_final = await house.final(first)
    second = await reset_as(house, "again", "node1")
    second_final = await house.final(second)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.headers["Location"] != second.headers["Location"]
    assert (first_final.status_code, second_final.status_code) == (204, 200)
    assert (house.executions("bmc1"), house.executions("node1")) == (1, 1)


async def test_first_client_never_reads_the_answer_of_the_second(house: House) -> None:
    first = await reset_as(house, "replaced")
    await house.final(first)
    second = await reset_as(house, "replaced", "node1")
    task = await house.ended(second)
    firsts = await house.client.get(first.headers["Location"])
    seconds = await house.client.get(second.headers["Location"])
    assert firsts.status_code in (204, 404)
    assert seconds.status_code == 200
    assert task["Payload"]["TargetUri"] == RESET.format("node1")


async def test_earlier_run_is_removed_from_temporal(house: House) -> None:
    first = await reset_as(house, "removed")
    await house.final(first)
    await house.ended(await reset_as(house, "removed", "node1"))
    async with asyncio.timeout(LONGEST_WAIT):
        while len(await runs_of(house, "removed")) > 1:
            await asyncio.sleep(0.1)
    gone = await house.client.get(first.headers["Location"])
    assert gone.status_code == 404


async def test_id_of_a_failed_and_of_a_killed_task_is_free(house: House) -> None:
    house.emulator.set_modes("bmc1", fail=True)
    await house.ended(await reset_as(house, "mishap"))
    house.emulator.set_modes("bmc1", fail=False, hang=True)
    await house.until(await reset_as(house, "mishap"), "Running")
    await house.temporal.get_workflow_handle("mishap").terminate()
    last = await reset_as(house, "mishap", "node1")
    assert (await house.ended(last))["TaskState"] == "Completed"


async def test_of_twenty_at_once_exactly_one_wins(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    answers = await asyncio.gather(*(reset_as(house, "race") for _ in range(20)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [202] + [409] * 19
    won = next(answer for answer in answers if answer.status_code == 202)
    await house.until(won, "Running")
    assert house.executions("bmc1") == 1
    assert len(await runs_of(house, "race")) == 1


async def test_of_twenty_at_once_over_an_ended_one_exactly_one_wins(
    house: House,
) -> None:
    await house.ended(await reset_as(house, "race-again"))
    house.emulator.set_modes("bmc1", hang=True)
    answers = await asyncio.gather(*(reset_as(house, "race-again") for _ in range(20)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [202] + [409] * 19
    won = next(answer for answer in answers if answer.status_code == 202)
    await house.until(won, "Running")
    assert house.executions("bmc1") == 2


async def test_monitor_without_its_run_is_not_there(house: House) -> None:
    await house.final(await reset_as(house, "no-run"))
    answer = await house.client.get(f"{MONITORS}/no-run")
    assert answer.status_code == 404


def a_start(task_id: str, token: str, *, chosen: bool = True) -> Start:
    """Return a start of nothing that any worker knows."""
    return Start(
        task_id=task_id,
        operation=OperationName("Oem.POST", "Oem", "nothing"),
        source="none",
        owner="admin",
        input=TaskMemo(token=token, name="", method="POST", uri="/"),
        memo=TaskMemo(token=token, chosen=chosen, name="", method="POST", uri="/"),
        summary="nothing",
        request_id="r",
    )


@pytest.mark.parametrize("chosen", [True, False])
async def test_repeated_start_gives_the_same_run_even_when_ended(
    temporal: Client, chosen: bool
) -> None:
    starter = TaskStarter(temporal, "nobody-works-here")
    mine = a_start(f"repeated-{chosen}", "0" * 32, chosen=chosen)
    first = await starter.start(mine)
    assert await starter.start(mine) == first
    await temporal.get_workflow_handle(mine.task_id).terminate()
    assert await starter.start(mine) == first


async def test_start_is_told_from_anothers_with_the_same_id(temporal: Client) -> None:
    starter = TaskStarter(temporal, "nobody-works-here")
    first = await starter.start(a_start("theirs", "1" * 32))
    assert await starter.start(a_start("theirs", "2" * 32)) is None
    await temporal.get_workflow_handle("theirs").terminate()
    second = await starter.start(a_start("theirs", "2" * 32))
    assert second not in (None, first)
    assert await starter.start(a_start("theirs", "1" * 32)) is None
    await temporal.get_workflow_handle("theirs").terminate()


async def test_generated_id_is_never_used_again(temporal: Client) -> None:
    starter = TaskStarter(temporal, "nobody-works-here")
    await starter.start(a_start("generated", "3" * 32, chosen=False))
    await temporal.get_workflow_handle("generated").terminate()
    assert await starter.start(a_start("generated", "4" * 32, chosen=False)) is None


async def test_foreign_workflow_keeps_its_id(house: House) -> None:
    await house.temporal.start_workflow(
        "Elsewhere", id="elsewhere", task_queue="nobody-works-here"
    )
    answer = await reset_as(house, "elsewhere")
    assert answer.status_code == 409
    assert house.executions("bmc1") == 0
    await house.temporal.get_workflow_handle("elsewhere").terminate()
