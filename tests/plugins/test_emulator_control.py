"""The emulator as a whole: its control from outside, its counts, its process."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator

import httpx
import pytest

from taskfish.plugins.emulator import Emulator, serve
from tests.plugins.emulator_clients import (
    MIRROR,
    VOLUMES,
    Running,
    Served,
    renewed,
    served,
)


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Running]:
    async with served(systems=2) as found:
        yield found


@pytest.fixture
async def emulated(running: Running) -> AsyncIterator[Served]:
    async with renewed(running) as found:
        yield found


@pytest.fixture
async def control(emulated: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        verify=False, base_url=emulated.addresses.control
    ) as client:
        yield client


async def test_executions_are_counted_by_machine(
    emulated: Served, control: httpx.AsyncClient
) -> None:
    await emulated.plugin.reset("ForceOff")
    await emulated.bmc.post(VOLUMES, MIRROR)
    await emulated.bmc.patch("/Systems/1", {"AssetTag": "x"})
    everything = (await control.get("/executions")).json()
    assert everything["count"] == 3
    assert everything["connections"]["bmc1"] == 1
    filters = {"machine": "bmc1", "method": "PATCH"}
    found = (await control.get("/executions", params=filters)).json()
    assert [each["uri"] for each in found["executions"]] == ["/redfish/v1/Systems/1"]
    assert found["executions"][0]["body"] == {"AssetTag": "x"}
    assert (await control.delete("/executions")).status_code == 204
    assert (await control.get("/executions")).json()["count"] == 0


async def test_both_protocols_record_same_uri(emulated: Served) -> None:
    await emulated.plugin.call("POST", VOLUMES, MIRROR)
    await emulated.bmc.post(VOLUMES, MIRROR)
    first, second = emulated.emulator.executions()
    assert (first.uri, first.body) == (second.uri, second.body)
    assert {first.machine, second.machine} == {"node1", "bmc1"}


async def test_outcome_follows_change(emulated: Served) -> None:
    accepted = await emulated.bmc.reset("ForceOff")
    assert emulated.emulator.executions()[0].outcome == "accepted"
    await emulated.bmc.final(accepted)
    assert emulated.emulator.executions()[0].outcome == "completed"


async def test_peak_of_requests_is_counted(
    emulated: Served, control: httpx.AsyncClient
) -> None:
    emulated.emulator.set_modes("bmc1", read_delay=0.1)
    await asyncio.gather(*(emulated.bmc.get("/Systems/1") for _ in range(5)))
    answer = (await control.get("/executions")).json()
    assert answer["peaks"]["bmc1"] == 5
    assert answer["requests"]["bmc1"] == 5
    assert answer["peaks"]["node1"] == 0


async def test_modes_are_merged(control: httpx.AsyncClient, emulated: Served) -> None:
    await control.put("/modes/bmc1", json={"hang": True})
    answer = await control.put("/modes/bmc1", json={"seconds": 5})
    assert (answer.json()["hang"], answer.json()["seconds"]) == (True, 5)
    assert emulated.emulator.machines["bmc1"].modes.hang
    assert (await control.get("/modes/node1")).json()["hang"] is False
    assert (await control.delete("/modes")).status_code == 204
    assert not emulated.emulator.machines["bmc1"].modes.hang


@pytest.mark.parametrize(
    ("target", "modes", "status"),
    [
        ("node9", {"hang": True}, 404),
        ("node1", {"hang": "maybe"}, 422),
        ("node1", {"unknown": 1}, 422),
        ("node1", {"seconds": -1}, 422),
        ("plugin", [], 422),
    ],
)
async def test_bad_modes_are_refused(
    control: httpx.AsyncClient, target: str, modes: object, status: int
) -> None:
    answer = await control.put(f"/modes/{target}", json=modes)
    assert answer.status_code == status


async def test_restart_from_outside_forgets(
    control: httpx.AsyncClient, emulated: Served
) -> None:
    first = await emulated.bmc.reset("ForceOff")
    assert (await control.post("/restart/bmc1")).status_code == 204
    second = await emulated.bmc.reset("ForceOff")
    assert first.headers["Location"] == second.headers["Location"]
    await control.post("/restart/bmc1", params={"reset_ids": False})
    third = await emulated.bmc.reset("ForceOff")
    assert third.headers["Location"] != second.headers["Location"]
    assert (await control.post("/restart/node9")).status_code == 404


async def test_own_task_from_outside(
    control: httpx.AsyncClient, emulated: Served
) -> None:
    made = (await control.post("/tasks/bmc1", params={"seconds": 60})).json()
    task = await emulated.bmc.get(f"/TaskService/Tasks/{made['id']}")
    assert task.json()["TaskState"] == "Running"
    assert (await control.post("/tasks/plugin")).status_code == 400


async def test_two_emulators_run_side_by_side() -> None:
    async with serve(Emulator(1, 2)) as first, serve(Emulator(0, 0)) as second:
        assert len({first.plugin, second.plugin, *first.bmcs}) == 4
        assert (first.systems, second.systems) == (["node1"], [])


async def test_taken_port_is_an_error() -> None:
    async with serve(Emulator(0, 0)) as first:
        port = int(first.plugin.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            async with serve(Emulator(0, 0), ports=[port]):
                pass


async def test_stop_does_not_wait_for_hanging_request() -> None:
    async with served(systems=0) as running, renewed(running) as emulated:
        emulated.emulator.set_modes("bmc1", slow_sync=True, hang=True)
        asking = asyncio.create_task(emulated.bmc.post(VOLUMES, MIRROR))
        await asyncio.sleep(0.05)
    with pytest.raises((httpx.HTTPError, RuntimeError)):
        await asking


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_process_stops_on_signal(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "taskfish.plugins.emulator",
        "--systems=1",
        "--bmcs=1",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.stdout is not None
    addresses = json.loads(await asyncio.wait_for(process.stdout.readline(), 10))
    async with httpx.AsyncClient(verify=False) as client:
        answer = await client.get(f"{addresses['control']}/modes/node1")
        assert answer.status_code == 200
    process.send_signal(number)
    _, errors = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, errors) == (0, b"")
