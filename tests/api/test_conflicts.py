"""One machine, one change at a time: allow, reject, queue, and what always passes."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from temporalio.client import Client

from taskfish.store.tables import members
from taskfish.store.turns import Turns
from tests.api.answers import message_keys
from tests.api.conflicts import (
    ALLOW,
    BMC,
    FIRMWARE,
    NODE,
    QUEUE,
    REJECT,
    RESET_MANY,
    RUN_PLAN,
    SIMPLE_UPDATE,
    create_volume,
    on_the_machine,
    operate,
    reset,
    until_behind,
    volumes,
)
from tests.api.test_service import without_temporal
from tests.conftest import KEY
from tests.house import House
from tests.worker_process import worker_process
from tests.workflows.houses import (
    bmc_house,
    until,
    until_begun,
    until_executed,
    words_of,
)


async def add_second_system(house: House) -> None:
    """Have bmc1 have a second system in the inventory, once its watcher has read it."""
    watcher = house.temporal.get_workflow_handle("watch:bmc1")
    converter = house.temporal.data_converter

    async def is_read() -> bool:
        run = await watcher.describe()
        for pending in run.raw_description.pending_activities:
            for seen in await converter.decode(pending.heartbeat_details.payloads):
                return bool(seen["members"])
        return False

    await until(is_read)
    row = {"source": "bmc1", "collection": "Systems", "id": "2", "allowable_values": {}}
    async with house.store.write() as connection:
        await connection.execute(insert(members).values(**row))


@asynccontextmanager
async def strange_holder(house: House, *systems: str) -> AsyncIterator[Any]:
    """Have systems be held by a run that no worker works on; give its handle."""
    token, task_id = uuid.uuid4().hex, f"strange-{uuid.uuid4()}"
    await Turns(house.store).take(systems, task_id, token)
    handle = await house.temporal.start_workflow(
        "ComputerSystem.Reset",
        id=task_id,
        task_queue=f"nobody-{task_id}",
        memo={"task": {"token": token}},
    )
    try:
        yield handle
    finally:
        with contextlib.suppress(Exception):
            await handle.terminate()


async def test_changes_of_one_machine_are_allowed_by_default(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    first, second = [await create_volume(quiet, name, {}) for name in ("a", "b")]
    await until_executed(quiet, times=2)
    quiet.emulator.set_modes("bmc1", hang=False)
    for accepted in (first, second):
        assert (await quiet.ended(accepted))["TaskState"] == "Completed"
    assert await on_the_machine(quiet) == []


async def test_reject_names_the_running_task(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    running = await create_volume(quiet, "first", {})
    await until_executed(quiet)
    refused = await create_volume(quiet, "second", REJECT)
    uri = running.json()["@odata.id"]
    assert refused.status_code == 409
    assert message_keys(refused) == ["ResourceInUse"]
    info = refused.json()["error"]["@Message.ExtendedInfo"][0]
    assert info["Oem"]["Taskfish"]["Task"] == {"@odata.id": uri}
    assert uri in info["Resolution"]
    assert refused.headers["Link"] == f'<{uri}>; rel="task"'
    assert volumes(quiet) == ["first"]


async def test_refused_change_leaves_nothing_behind(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    running = await create_volume(quiet, "first", {})
    assert (await create_volume(quiet, "second", REJECT)).status_code == 409
    assert await on_the_machine(quiet) == [running.json()["Id"]]
    quiet.emulator.set_modes("bmc1", hang=False)
    await quiet.ended(running)
    third = await create_volume(quiet, "third", REJECT)
    assert third.status_code == 202
    assert (await quiet.ended(third))["TaskState"] == "Completed"
    assert volumes(quiet) == ["first", "third"]


async def test_other_machine_is_not_in_the_way(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    await create_volume(quiet, "first", REJECT)
    other = await create_volume(quiet, "second", REJECT, NODE)
    assert other.status_code == 202
    assert (await quiet.ended(other))["TaskState"] == "Completed"


async def test_one_of_many_rejecting_changes_wins(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    answers = await asyncio.gather(
        *(create_volume(quiet, str(number), REJECT) for number in range(20))
    )
    codes = [answer.status_code for answer in answers]
    assert sorted(codes) == [202, *[409] * 19]
    winner = answers[codes.index(202)].json()["@odata.id"]
    named = {answer.headers["Link"] for answer in answers if answer.is_error}
    assert named == {f'<{winner}>; rel="task"'}
    await until_executed(quiet)
    assert len(volumes(quiet)) == 1


async def test_place_that_never_became_a_task_is_no_reason_to_refuse(
    quiet: House,
) -> None:
    """Another request is being refused at this very moment."""
    turns = Turns(quiet.store)
    await turns.take([BMC], "refused", "refused")
    answering = asyncio.create_task(create_volume(quiet, "second", REJECT))

    async def has_come() -> bool:
        return len(await turns.on([BMC])) == 2

    await until(has_come)
    await turns.leave("refused")
    assert (await answering).status_code == 202


async def test_place_of_a_task_that_may_start_is_respected(quiet: House) -> None:
    await Turns(quiet.store).take([BMC], "starting", "starting")
    refused = await create_volume(quiet, "second", REJECT)
    assert refused.status_code == 409
    assert "Tasks/starting>" in refused.headers["Link"]


async def test_same_request_twice_at_once_does_not_slip_through(quiet: House) -> None:
    """One of the two gives up the places that both have taken."""
    async with strange_holder(quiet, BMC):
        key = REJECT | {"Idempotency-Key": uuid.uuid4().hex}
        answers = await asyncio.gather(
            *(create_volume(quiet, "second", key) for _ in range(6))
        )
        assert {answer.status_code for answer in answers} == {409}


async def test_killed_task_is_in_nobodys_way(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    running = await create_volume(quiet, "first", {})
    await until_executed(quiet)
    await quiet.workflow(running).terminate()
    assert (await create_volume(quiet, "second", REJECT)).status_code == 202


@pytest.mark.parametrize("wish", ["reject", "queue"])
async def test_setting_holds_unless_the_request_says_otherwise(
    temporal: Client, tmp_path: Path, wish: str
) -> None:
    async with bmc_house(temporal, tmp_path, KEY, conflict=wish) as house:
        house.emulator.set_modes("bmc1", hang=True)
        first = await create_volume(house, "first", {})
        await until_executed(house)
        second = await create_volume(house, "second", {})
        if wish == "reject":
            assert second.status_code == 409
        else:
            await until_behind(house, second, first)
        assert (await create_volume(house, "third", ALLOW)).status_code == 202
        await until_executed(house, times=2)
        assert volumes(house) == ["first", "third"]


async def test_queue_goes_in_order_and_says_who_waits_for_whom(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    first, second, third = [
        await create_volume(quiet, name, QUEUE) for name in ("1", "2", "3")
    ]
    await until_behind(quiet, second, first)
    await until_behind(quiet, third, second)
    assert volumes(quiet) == ["1"]
    quiet.emulator.set_modes("bmc1", hang=False)
    for accepted in (first, second, third):
        assert (await quiet.ended(accepted))["TaskState"] == "Completed"
    assert volumes(quiet) == ["1", "2", "3"]
    assert await on_the_machine(quiet) == []


async def test_queue_is_behind_what_was_allowed_too(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    first = await create_volume(quiet, "first", ALLOW)
    second = await create_volume(quiet, "second", QUEUE)
    await until_behind(quiet, second, first)


async def test_queue_time_out_is_an_exception(temporal: Client, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"conflict": "queue", "queue_timeout": 0.5}
    async with bmc_house(temporal, tmp_path, KEY, **settings) as house:
        house.emulator.set_modes("bmc1", hang=True)
        first = await create_volume(house, "first", {})
        second = await create_volume(house, "second", {})
        final = await house.final(second)
        assert final.status_code == 409
        assert message_keys(final) == ["ResourceInUse"]
        task = await house.task(second)
        assert task["TaskState"] == "Exception"
        assert first.json()["@odata.id"] in words_of(task)
        assert volumes(house) == ["first"]
        assert await on_the_machine(house) == [first.json()["Id"]]


async def test_terminated_holder_lets_the_next_pass(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    first = await create_volume(quiet, "first", QUEUE)
    second = await create_volume(quiet, "second", QUEUE)
    await until_behind(quiet, second, first)
    await quiet.workflow(first).terminate()
    await until_executed(quiet, times=2)
    assert volumes(quiet) == ["first", "second"]
    assert await on_the_machine(quiet) == [second.json()["Id"]]


@pytest.mark.parametrize("end", ["cancel", "terminate"])
async def test_one_that_leaves_the_queue_sends_nothing(quiet: House, end: str) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    first, second, third = [
        await create_volume(quiet, name, QUEUE) for name in ("1", "2", "3")
    ]
    await until_behind(quiet, third, second)
    if end == "cancel":
        gone = await quiet.client.delete(second.json()["@odata.id"])
        assert gone.status_code == 202
        assert (await quiet.ended(second))["TaskState"] == "Cancelled"
    else:
        await quiet.workflow(second).terminate()
    await until_behind(quiet, third, first)
    quiet.emulator.set_modes("bmc1", hang=False)
    assert (await quiet.ended(third))["TaskState"] == "Completed"
    assert volumes(quiet) == ["1", "3"]


async def test_queue_survives_the_kill_of_the_worker(
    temporal: Client, temporal_address: str, tmp_path: Path
) -> None:
    async with bmc_house(temporal, tmp_path, KEY, conflict="queue") as house:
        await house.stop_worker()
        house.emulator.set_modes("bmc1", hang=True)
        async with worker_process(house, temporal_address) as worker:
            await worker.until_ready()
            first, second, third = [
                await create_volume(house, name, {}) for name in ("1", "2", "3")
            ]
            await until_behind(house, third, second)
            await worker.kill()
        assert (await house.task(third))["TaskState"] == "Pending"
        fourth = await create_volume(house, "4", {})
        await house.start_worker()
        await until_behind(house, fourth, third)
        house.emulator.set_modes("bmc1", hang=False)
        for accepted in (first, second, third, fourth):
            assert (await house.ended(accepted))["TaskState"] == "Completed"
        assert volumes(house) == ["1", "2", "3", "4"]


async def test_holder_killed_while_no_worker_runs_lets_the_next_pass(
    quiet: House,
) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    first = await create_volume(quiet, "first", QUEUE)
    second = await create_volume(quiet, "second", QUEUE)
    await until_behind(quiet, second, first)
    await quiet.stop_worker()
    await quiet.workflow(first).terminate()
    quiet.emulator.set_modes("bmc1", hang=False)
    await quiet.start_worker()
    assert (await quiet.ended(second))["TaskState"] == "Completed"


@pytest.mark.parametrize("collection", ["Managers", "Chassis"])
async def test_change_of_what_is_no_system_holds_the_systems_of_its_source(
    quiet: House, collection: str
) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    await create_volume(quiet, "first", {})
    listed = (await quiet.client.get(f"/redfish/v1/{collection}")).json()["Members"]
    (uri,) = [each["@odata.id"] for each in listed if "bmc1." in each["@odata.id"]]
    body = {"AssetTag": "7"}
    refused = await quiet.client.patch(uri, json=body, headers=REJECT)
    assert refused.status_code == 409


async def test_update_of_two_systems_waits_for_both(
    temporal: Client, tmp_path: Path
) -> None:
    """The inventory has two systems of one source."""
    other = "/redfish/v1/Systems/bmc1.2"
    async with bmc_house(temporal, tmp_path, KEY, conflict="queue") as house:
        await add_second_system(house)
        async with (
            strange_holder(house, BMC) as one,
            strange_holder(house, other) as two,
        ):
            body = {"ImageURI": "http://images/x", "Targets": [f"{FIRMWARE}/bmc1.BMC"]}
            accepted = await house.change("POST", SIMPLE_UPDATE, body)

            async def waits_for(handle: Any) -> None:
                async def says_so() -> bool:
                    return handle.id in words_of(await house.task(accepted))

                await until(says_so)

            await waits_for(two)
            await two.terminate()
            await waits_for(one)
            assert house.executions("bmc1") == 0
            await one.terminate()
            assert (await house.ended(accepted))["TaskState"] == "Completed"
            assert house.executions("bmc1") == 1


async def test_silent_temporal_is_503_and_keeps_no_place(quiet: House) -> None:
    """Nobody can say whether the machine is free."""
    async with strange_holder(quiet, BMC) as holder, without_temporal(quiet) as client:
        uri = f"{BMC}/Storage/1/Volumes"
        body = {"Name": "x", "RAIDType": "RAID0"}
        answer = await client.post(uri, json=body, headers=REJECT)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert await on_the_machine(quiet) == [holder.id]


@pytest.mark.parametrize("wish", [ALLOW, QUEUE], ids=["allow", "queue"])
async def test_change_that_did_not_start_keeps_no_place(
    quiet: House, wish: dict[str, str]
) -> None:
    async with without_temporal(quiet) as client:
        uri = f"{BMC}/Storage/1/Volumes"
        body = {"Name": "x", "RAIDType": "RAID0"}
        answer = await client.post(uri, json=body, headers=wish)
        assert answer.status_code == 503
        assert await on_the_machine(quiet) == []


@pytest.mark.parametrize("wish", [REJECT, QUEUE], ids=["reject", "queue"])
async def test_change_that_its_source_keeps_until_a_reset_is_not_in_its_way(
    quiet: House, wish: dict[str, str]
) -> None:
    waiting = await quiet.create_volume("bmc1.1", apply_time="OnReset")
    await until_begun(quiet, waiting, "await_completion")
    made = await reset(quiet, "ForceRestart", wish)
    assert made.status_code == 202
    for accepted in (made, waiting):
        assert (await quiet.ended(accepted))["TaskState"] == "Completed"


async def test_suspended_change_holds_up_nobody(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    first, second, third = [
        await create_volume(quiet, name, QUEUE) for name in ("1", "2", "3")
    ]
    await until_behind(quiet, third, second)
    await quiet.workflow(second).signal("Suspend", "admin")
    await until_behind(quiet, third, first)
    quiet.emulator.set_modes("bmc1", hang=False)
    assert (await quiet.ended(third))["TaskState"] == "Completed"
    assert (await quiet.task(second))["TaskState"] == "Suspended"
    await quiet.workflow(second).signal("Resume", "admin")
    assert (await quiet.ended(second))["TaskState"] == "Completed"
    assert volumes(quiet) == ["1", "3", "2"]


@pytest.mark.parametrize("uri", [RUN_PLAN, RESET_MANY], ids=["plan", "many"])
@pytest.mark.parametrize("then", ["resumed", "cancelled"])
async def test_operation_suspended_in_the_queue_holds_up_nobody(
    quiet: House, uri: str, then: str
) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    first = await create_volume(quiet, "1", QUEUE)
    second = await operate(quiet, uri, "ForceRestart", QUEUE)
    third = await create_volume(quiet, "3", QUEUE)
    await until_behind(quiet, third, second)
    suspend = f"{second.json()['@odata.id']}/Actions/Oem/Taskfish.Suspend"
    assert (await quiet.client.post(suspend)).status_code == 204
    await until_behind(quiet, third, first)
    quiet.emulator.set_modes("bmc1", hang=False)
    assert (await quiet.ended(third))["TaskState"] == "Completed"
    assert (await quiet.task(second))["TaskState"] == "Suspended"
    if then == "resumed":
        resume = suspend.replace("Suspend", "Resume")
        assert (await quiet.client.post(resume)).status_code == 204
        assert (await quiet.ended(second))["TaskState"] == "Completed"
    else:
        await quiet.client.delete(second.json()["@odata.id"])
        assert (await quiet.ended(second))["TaskState"] == "Cancelled"
    assert quiet.executions("bmc1") == (3 if then == "resumed" else 2)
    assert await on_the_machine(quiet) == []


async def test_never_two_at_once_on_one_machine(quiet: House) -> None:
    """Many at once, some cancelled, some killed before they are sent."""
    quiet.emulator.set_modes("bmc1", seconds=0.1, exclusive=True)
    timeline = quiet.emulator.machines["bmc1"].timeline
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            timeline.advance()
            most = max(most, len(timeline.active))
            await asyncio.sleep(0.005)

    watching = asyncio.create_task(watch())
    sent = await asyncio.gather(
        *(
            reset(quiet, "GracefulRestart", QUEUE)
            if number % 2
            else create_volume(quiet, str(number), QUEUE)
            for number in range(12)
        )
    )
    by_id = {accepted.json()["Id"]: accepted for accepted in sent}
    *_, cancelled, killed = await on_the_machine(quiet)
    await quiet.workflow(by_id[killed]).terminate()
    await quiet.workflow(by_id[cancelled]).cancel(reason="requested")
    ended = [await quiet.ended(accepted) for accepted in sent]
    watching.cancel()
    states = {task["Id"]: task["TaskState"] for task in ended}
    assert (states.pop(killed), states.pop(cancelled)) == ("Killed", "Cancelled")
    assert set(states.values()) == {"Completed"}
    assert most == 1
    assert quiet.executions("bmc1") == 10
