"""Defects 4, 10 to 12, 14, 15 and 18: what a task says of itself, and its end."""

import asyncio
import json
from typing import Any

import httpx
from pydantic import JsonValue

from taskfish.plugins.machine.modes import Modes
from tests.api.answers import members, message_keys
from tests.defects.plugins import (
    ACCEPTED,
    INSERT_MEDIA,
    RESET,
    TASKMON,
    OwnPlugin,
    scripted_plugin,
)
from tests.house import SOURCES, House
from tests.plugins.faulty_socket import refused
from tests.plugins.scripted_service import http
from tests.workflows.houses import NODE, VOLUMES, until

Request = tuple[str, str, Any]

SYSTEMS = "/redfish/v1/Systems"
RESET_ACTION = "Actions/ComputerSystem.Reset"
FIRMWARE = "/redfish/v1/UpdateService/FirmwareInventory"
SIMPLE_UPDATE = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"
CD = "Managers/{}.1/VirtualMedia/CD1"
ACCOUNTS = "/redfish/v1/Managers/node1.1/RemoteAccountService/Accounts"
UUID = "24b243cf-f1e3-5318-92d9-2d6737d6b0b9"
ABORTED = "TaskEvent.1.0.3.TaskAborted"
SHOWN_OF_ABORTED: list[dict[str, JsonValue]] = [
    {"TaskState": "Exception"},
    {"TaskState": "Completed", "TaskStatus": "OK"},
    {"TaskState": "Interrupted", "PercentComplete": 100},
    {"TaskState": "Aborted"},
    {},
]
ENDS_BY_MESSAGE = {
    "TaskAborted": ("Exception", "Critical"),
    "TaskCompletedWarning": ("Completed", "Warning"),
    "TaskCompletedOK": ("Completed", "OK"),
}
FAILING: list[dict[str, Any]] = [
    {"fail": True, "fail_status": 503, "answer": "sync"},
    {"fail": True, "answer": "task"},
    {"fail": True, "answer": "task", "monitor_ends_with_task": True},
    {"refuse": 409},
]


async def aborted_task(house: House) -> None:
    """Taken for Interrupted, it would have no end, and its monitor be 202 for ever.

    What a plugin shows beside the message may be wrong, unknown here, or nothing.
    """
    house.emulator.set_modes("node1", fail=True, monitor_ends_with_task=True)
    await _is_aborted(house, await house.reset("node1.1"))
    async with scripted_plugin(house) as plugin:
        words: JsonValue = [{"MessageId": ABORTED, "MessageArgs": ["t1"]}]
        plugin.on(RESET, ACCEPTED)
        running = http(202, {"TaskState": "Running"})
        for shown in SHOWN_OF_ABORTED:
            plugin.on(TASKMON, running, http(200, shown | {"Messages": words}))
            await _is_aborted(house, await house.reset("rack9.1"))


async def _is_aborted(house: House, accepted: httpx.Response) -> None:
    finals = [await house.final(accepted), await house.final(accepted)]
    assert [final.status_code for final in finals] == [500, 500]
    task = await house.task(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Exception", "Critical")
    keys = [message["MessageId"] for message in task["Messages"]]
    assert [key.rpartition(".")[2] for key in keys].count("TaskAborted") == 2
    assert "EndTime" in task


async def failures(house: House) -> None:
    """A failure would be Completed and OK; only the monitor's status would tell."""
    kept = await house.final(await house.create_volume("node1.1"))
    changes: list[Request] = [
        ("PATCH", f"{NODE}/Bios/Settings", {"Attributes": {"NumLock": "Off"}}),
        ("PATCH", NODE, {"Boot": {"BootSourceOverrideTarget": "Pxe"}}),
        ("POST", f"{NODE}/Actions/ComputerSystem.SetDefaultBootOrder", {}),
        ("POST", f"{NODE}/{VOLUMES}", {"Name": "x", "RAIDType": "RAID0"}),
        ("DELETE", kept.headers["Location"], None),
        ("PATCH", f"{NODE}/SecureBoot", {"SecureBootEnable": True}),
        ("POST", f"{NODE}/{RESET_ACTION}", {"ResetType": "ForceRestart"}),
    ]
    for modes in FAILING:
        house.emulator.machines["node1"].reset_modes(Modes(seconds=0.2, **modes))
        sent = [await house.change(*change) for change in changes]
        for accepted in sent:
            task, final = await house.ended(accepted), await house.final(accepted)
            said = (task["TaskState"], task["TaskStatus"], final.status_code >= 400)
            assert said == ("Exception", "Critical", True), (modes, task["Name"])
    assert (await house.client.get(kept.headers["Location"])).status_code == 200
    deletion = await house.client.delete(f"{SOURCES}/plugin")
    assert deletion.status_code == 409
    assert (await house.client.get(f"{SOURCES}/plugin")).status_code == 200
    await _ends_by_message(house)
    with refused() as url:
        assert (await house.add_source("dead", url, "ODIM", "plugin")).is_error
    assert (await house.client.get(f"{SOURCES}/dead")).status_code == 404


async def _ends_by_message(house: House) -> None:
    """A plugin that is done with its task says Completed, whatever came of it."""
    async with scripted_plugin(house) as plugin:
        plugin.on(RESET, ACCEPTED)
        for key, end in ENDS_BY_MESSAGE.items():
            words: JsonValue = [{"MessageId": f"TaskEvent.1.0.3.{key}"}]
            plugin.on(TASKMON, http(200, {"TaskState": "Completed", "Messages": words}))
            task = await house.ended(accepted := await house.reset("rack9.1"))
            assert (task["TaskState"], task["TaskStatus"]) == end
            assert (await house.final(accepted)).is_error is (end[0] == "Exception")


async def virtual_media(house: House) -> None:
    """Only a 202 would ever be followed: what is answered 200 would stay New."""
    image = {"Image": "http://images/boot.iso"}
    action = "Actions/VirtualMedia.InsertMedia"
    modes = (("node1", "sync", False), ("node2", "task", None), ("bmc1", "sync", True))
    for machine, answer, empty in modes:
        house.emulator.set_modes(machine, answer=answer, empty_body=empty)
        cd = f"/redfish/v1/{CD.format(machine)}"
        accepted = await house.change("POST", f"{cd}/{action}", image)
        final = await house.final(accepted)
        assert final.status_code == (204 if empty else 200)
        assert (await house.task(accepted))["TaskState"] == "Completed"
        assert (await house.client.get(cd)).json()["Image"] == image["Image"]
    async with scripted_plugin(house) as plugin:
        plugin.on(INSERT_MEDIA, http(200))
        uri = f"/redfish/v1/{CD.format('rack9')}/{action}"
        accepted = await house.change("POST", uri, image)
        assert (await house.ended(accepted))["TaskState"] == "Completed"


async def invalid_requests(house: House) -> None:
    """Each would leave a task that nobody ends; a bare UUID would crash the service."""
    before = await _task_ids(house)
    reset, on = f"{NODE}/{RESET_ACTION}", {"ResetType": "On"}
    unknown = [UUID, f"{UUID}.1", f"{UUID}.", "node1", "node1.", ".1", "node1.2"]
    requests: list[tuple[int, Request]] = [
        (404, ("POST", f"{SYSTEMS}/{name}/{RESET_ACTION}", on)) for name in unknown
    ]
    requests += [
        (404, ("GET", f"{SYSTEMS}/{UUID}", None)),
        (404, ("PATCH", f"{SYSTEMS}/{UUID}", {"AssetTag": "x"})),
        (400, ("POST", reset, {"ResetType": "Sideways"})),
        (400, ("POST", reset, {"ResetType": 1})),
        (400, ("POST", reset, [])),
        (405, ("DELETE", f"{NODE}/Bios", None)),
        (405, ("PATCH", reset, on)),
        (400, ("POST", SIMPLE_UPDATE, {})),
        (400, ("POST", SOURCES, {"HostName": "10.24.0.4"})),
    ]
    for status, (method, uri, body) in requests:
        answer = await house.client.request(method, uri, json=body)
        assert (answer.status_code, method, uri) == (status, method, uri)
        assert message_keys(answer)
    content = b'{"ResetType": '
    malformed = await house.client.post(
        reset, content=content, headers={"Content-Type": "application/json"}
    )
    assert malformed.status_code == 400
    left_to_the_source = await house.change("POST", reset, {})
    assert (await house.ended(left_to_the_source))["TaskState"] == "Exception"
    good = await house.reset("node1.1")
    assert (await house.ended(good))["TaskState"] == "Completed"
    ended = {left_to_the_source.json()["Id"], good.json()["Id"]}

    async def are_listed() -> bool:
        return ended <= await _task_ids(house)

    await until(are_listed)
    assert await _task_ids(house) - before == ended
    assert house.executions("node1") == 1


async def percent_on_the_way(house: House) -> None:
    """Divided as integers, it would be 0 until the end."""
    update = {"ImageURI": "http://images/bios-2.0.1.bin"}
    targets = {"Targets": [f"{FIRMWARE}/bmc1.BIOS"]}
    for machine in ("node1", "bmc1"):
        house.emulator.set_modes(machine, pause_at=30)
    sent = [
        await house.reset("node1.1"),
        await house.create_volume("node1.1"),
        await house.change("POST", SIMPLE_UPDATE, update | targets),
    ]
    for percent, following in ((30, 70), (70, None)):
        for accepted in sent:
            await _until_percent(house, accepted, percent)
        for machine in ("node1", "bmc1"):
            house.emulator.set_modes(machine, pause_at=following)
    for accepted in sent:
        assert (await house.ended(accepted))["PercentComplete"] == 100


async def payload_at_the_end(house: House) -> None:
    """Overwritten by what the plugin says, it would end empty."""
    house.emulator.set_modes("node1", monitor_ends_with_task=True)
    house.emulator.set_modes("node2", fail=True, monitor_ends_with_task=True)
    ends = {"node1.1": "Completed", "node2.1": "Exception", "bmc1.1": "Completed"}
    for system, end in ends.items():
        accepted = await house.create_volume(system, "data")
        running, task = accepted.json(), await house.ended(accepted)
        assert task["TaskState"] == end
        assert task["Payload"] == running["Payload"]
        assert task["Payload"]["HttpOperation"] == "POST"
        assert task["Payload"]["TargetUri"] == f"{SYSTEMS}/{system}/{VOLUMES}"
        drive = {"@odata.id": f"{SYSTEMS}/{system}/Storage/1/Drives/1"}
        sent = {"Name": "data", "RAIDType": "RAID0", "Links": {"Drives": [drive]}}
        assert json.loads(task["Payload"]["JsonBody"]) == sent


async def deletions(house: House) -> None:
    """With state and status swapped, the end would be refused and never come."""
    account = {"UserName": "guest", "Password": "s3cret-w0rd", "RoleId": "ReadOnly"}
    created = [
        await house.create_volume("node1.1"),
        await house.create_volume("node2.1"),
        await house.create_volume("bmc1.1"),
        await house.change("POST", ACCOUNTS, account),
    ]
    made = [(await house.final(each)).headers["Location"] for each in created]
    house.emulator.set_modes("node1", answer="task")
    house.emulator.set_modes("node2", answer="sync", empty_body=True)
    house.emulator.set_modes("bmc1", answer="sync", empty_body=False)
    sent = [await house.change("DELETE", uri) for uri in made]
    ended = await asyncio.gather(*map(house.ended, sent))
    states = {(task["TaskState"], task["TaskStatus"]) for task in ended}
    assert states == {("Completed", "OK")}
    for uri in made:
        assert (await house.client.get(uri)).status_code == 404
    plugin = OwnPlugin()
    async with plugin.answering() as url:
        await plugin.join(house, url)
        for name in ("node3", "other"):
            answers = [await house.client.delete(f"{SOURCES}/{name}") for _ in "12"]
            assert [answer.status_code for answer in answers] == [204, 404]
    assert f"{SYSTEMS}/node3.1" not in members(await house.client.get(SYSTEMS))


async def _task_ids(house: House) -> set[str]:
    """Return the Ids of all tasks that this gateway has started."""
    query = f"TaskQueue = '{house.settings.task_queue}' AND TaskOperation IS NOT NULL"
    return {run.id async for run in house.temporal.list_workflows(query)}


async def _until_percent(house: House, accepted: httpx.Response, percent: int) -> None:
    """Wait until the Task shows a percent; fail if it shows a higher one before."""

    async def is_reached() -> bool:
        shown: int = (await house.task(accepted))["PercentComplete"]
        assert shown <= percent
        return shown == percent

    await until(is_reached)
