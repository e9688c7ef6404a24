"""Plans over HTTP: `POST …/TaskService/Actions/Oem/Taskfish.RunPlan`."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from taskfish.store.tables import sources
from tests.api.accounts import account
from tests.api.answers import message_keys
from tests.api.kept_rows import rows
from tests.composing import resume, states, until_step
from tests.house import House
from tests.workflows.houses import until

SERVICE = "/redfish/v1/TaskService"
ACTION = f"{SERVICE}/Actions/Oem/Taskfish.RunPlan"
SYSTEM = "/redfish/v1/Systems/bmc1.1"
OURS = f"{SYSTEM}/Actions/Oem/Taskfish"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
VOLUMES = f"{SYSTEM}/Storage/1/Volumes"
ACCOUNTS = "/redfish/v1/Managers/bmc1.1/RemoteAccountService/Accounts"
Step = dict[str, Any]
LOOK: Step = {"Name": "look", "Method": "GET", "Uri": SYSTEM}
RESTART: Step = {
    "Name": "restart",
    "Method": "POST",
    "Uri": RESET,
    "Body": {"ResetType": "ForceRestart"},
}
TAG: Step = {
    "Name": "tag",
    "Method": "PATCH",
    "Uri": SYSTEM,
    "Body": {"AssetTag": "${look#/Body/Id}-${volume#/StatusCode}"},
}
VOLUME: Step = {
    "Name": "volume",
    "Method": "POST",
    "Uri": VOLUMES,
    "Body": {
        "Name": "data",
        "RAIDType": "RAID0",
        "Links": {"Drives": [{"@odata.id": f"{SYSTEM}/Storage/1/Drives/1"}]},
    },
    "Undo": {"Method": "DELETE", "Uri": "${volume#/Location}"},
}
LISTED: Step = {
    "Name": "listed",
    "Method": "GET",
    "Uri": VOLUMES,
    "Until": {
        "Pointer": "/Members",
        "Value": {"@odata.id": "${volume#/Location}"},
        "Test": "Has",
    },
    "TimeoutSeconds": 30,
}
FAILS: Step = {
    "Name": "fails",
    "Method": "DELETE",
    "Uri": f"{VOLUMES}/${{volume#/Body/Nothing}}",
}


async def run(house: House, *steps: Step, **headers: str) -> httpx.Response:
    """Send a plan."""
    return await house.client.post(ACTION, json={"Steps": steps}, headers=headers)


def messages(answer: httpx.Response) -> list[str]:
    """Return what the messages of an error say."""
    infos = answer.json()["error"]["@Message.ExtendedInfo"]
    return [info["Message"] for info in infos]


async def test_steps_take_values_of_earlier_answers(house: House) -> None:
    accepted = await run(house, LOOK, VOLUME, {"Together": [TAG, LISTED]})
    assert accepted.status_code == 202, accepted.text
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert task["Links"]["CreatedResources@odata.count"] == 1
    system = (await house.client.get(SYSTEM)).json()
    assert system["AssetTag"] == "bmc1.1-201"
    assert house.executions("bmc1") == 2


async def test_what_is_done_is_undone(house: House) -> None:
    kept = VOLUME | {"Name": "kept", "Undo": None}
    accepted = await run(house, kept, VOLUME, FAILS)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert house.executions("bmc1", "DELETE") == 1
    left = (await house.client.get(VOLUMES)).json()["Members"]
    assert len(left) == 1


async def test_failure_may_be_gone_on_from(house: House) -> None:
    accepted = await run(house, VOLUME, FAILS | {"OnFailure": "Continue"}, LISTED)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "Warning")
    assert house.executions("bmc1", "DELETE") == 0


async def test_operation_of_ours_may_be_a_step(house: House) -> None:
    inner = f"{OURS}.CreateVolumeAndReset"
    body = {
        "Storage": f"{SYSTEM}/Storage/1",
        "Volume": {"RAIDType": "RAID0", "Name": "${look#/Body/Id}"},
        "ResetType": "ForceRestart",
    }
    nested = {"Name": "both", "Method": "POST", "Uri": inner, "Body": body}
    accepted = await run(house, LOOK, nested)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    assert house.executions("bmc1", "POST") == 2


async def test_update_may_be_a_step(house: House) -> None:
    flash = {
        "Name": "flash",
        "Method": "POST",
        "Uri": "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate",
        "Body": {
            "ImageURI": "http://127.0.0.1/firmware",
            "Targets": ["/redfish/v1/Managers/bmc1.1"],
        },
    }
    accepted = await run(house, flash)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", task
    assert house.executions("bmc1", "POST") == 1
    nowhere = flash | {"Body": {"ImageURI": "http://127.0.0.1/firmware"}}
    refused = await run(house, nowhere)
    assert message_keys(refused) == ["ActionParameterMissing"]


async def test_all_faults_are_told_at_once(house: House) -> None:
    before = await rows(house)
    refused = await run(
        house,
        VOLUME | {"Body": {"Name": "x", "RAIDType": "RAID99", "Password": "abc"}},
        LOOK | {"Uri": "/redfish/v1/Systems/nobody.1"},
        {"Together": [TAG | {"Uri": SERVICE}, RESTART | {"Name": "look"}]},
        {"Name": "put", "Method": "PUT", "Uri": RESET},
        LOOK | {"Name": "get", "Uri": RESET},
        FAILS
        | {"Undo": {"Method": "POST", "Uri": f"{SYSTEM}/Actions/Oem/Taskfish.No"}},
    )
    assert refused.status_code == 400
    said = messages(refused)
    for number, place in enumerate(
        (
            "Steps/1/Name",
            "Steps/2/Together/0/Uri",
            "Steps/2/Together/1/Name",
            "Steps/0",
            "Steps/3",
            "Steps/4",
            "Steps/5/Undo",
        )
    ):
        assert said[number].startswith(f"{place}: "), said
    assert len(said) == 7
    assert "abc" not in refused.text
    assert await rows(house) <= before
    assert house.executions("bmc1") == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["ActionParameterMissing"]),
        ({"Steps": []}, ["ActionParameterValueConflict"]),
        ({"Steps": [{}] * 201}, ["ActionParameterValueOutOfRange"]),
        ({"Steps": [{"Together": [{}] * 201}]}, ["ActionParameterValueOutOfRange"]),
        (
            {"Steps": [LOOK], "PauseBefore": ["look"] * 201},
            ["ActionParameterValueOutOfRange"],
        ),
        ({"Steps": [{}]}, ["ActionParameterMissing"] * 3),
        ({"Steps": [7]}, ["ActionParameterValueTypeError"]),
        ({"Steps": {"Name": "a"}}, ["ActionParameterValueTypeError"]),
        ({"Steps": [LOOK | {"Nmae": 1}]}, ["ActionParameterUnknown"]),
        (
            {"Steps": [LOOK | {"Until": {"Pointer": f"/{'a' * 255}", "Value": 1}}]},
            ["ActionParameterValueFormatError"],
        ),
        (
            {"Steps": [LOOK | {"TimeoutSeconds": "9"}]},
            ["ActionParameterValueTypeError"],
        ),
        ({"Steps": [LOOK | {"TimeoutSeconds": 0}]}, ["ActionParameterValueOutOfRange"]),
        ({"Steps": [LOOK | {"Method": "HEAD"}]}, ["ActionParameterValueNotInList"]),
        ({"Steps": [LOOK], "Extra": 1}, ["ActionParameterUnknown"]),
        (
            {"Steps": [LOOK], "PauseBefore": ["nothing"]},
            ["ActionParameterValueNotInList"],
        ),
        ({"Steps": [LOOK], "PauseBefore": "look"}, ["ActionParameterValueTypeError"]),
    ],
)
async def test_body_is_no_plan(
    house: House, body: dict[str, Any], expected: list[str]
) -> None:
    refused = await house.client.post(ACTION, json=body)
    assert refused.status_code == 400
    assert message_keys(refused) == expected


async def test_refusal_says_what_was_sent_as_it_was_sent(house: House) -> None:
    sent = f"{SYSTEM}/%2e%2e/%1/%2"
    refused = await run(house, LOOK | {"Uri": sent})
    assert refused.status_code == 400
    assert sent in messages(refused)[0]


async def test_body_is_limited(house: House) -> None:
    long = VOLUME | {"Body": {"Name": "x" * 1_100_000}}
    assert (await run(house, long)).status_code == 413
    nearly = VOLUME | {"Body": {"Name": "x" * 1_000_000}}
    accepted = await run(house, nearly)
    assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_plan_needs_the_privileges_of_its_requests(house: House) -> None:
    before = await rows(house)
    async with account(house, "ReadOnly") as reader, account(house, "Operator") as user:
        change = {"Steps": [LOOK, VOLUME, LISTED]}
        create = {"Name": "eve", "Method": "POST", "Uri": ACCOUNTS, "Body": {}}
        undone = RESTART | {"Undo": {"Method": "POST", "Uri": ACCOUNTS}}
        for who, body, place in (
            (reader, change, "Steps/1"),
            (user, {"Steps": [create]}, "Steps/0"),
            (user, {"Steps": [LOOK, undone]}, "Steps/1/Undo"),
        ):
            refused = await house.client.post(ACTION, json=body, auth=who)
            assert refused.status_code == 403
            assert message_keys(refused)[0] == "InsufficientPrivilege"
            assert messages(refused)[0].startswith(f"{place}: ")
        read = await house.client.post(ACTION, json={"Steps": [LOOK]}, auth=reader)
        assert read.status_code == 202
        assert (await house.ended(read))["TaskState"] == "Completed"
    assert await rows(house, of_secrets=True) <= before


async def test_answer_gives_nobody_what_they_may_not(house: House) -> None:
    """The URI is known when the step begins: the engine asks then."""
    manager = LOOK | {"Name": "manager", "Uri": "/redfish/v1/Managers/bmc1.1"}
    service = "${manager#/Body/RemoteAccountService/@odata.id}"
    create: Step = {
        "Name": "create",
        "Method": "POST",
        "Uri": f"{service}/Accounts",
        "Body": {"UserName": "eve", "RoleId": "Administrator"},
    }
    look = {"Name": "account", "Method": "GET", "Uri": f"{service}/Accounts/admin"}
    async with account(house, "Operator") as user:
        for step in (create, look, look | {"Uri": "${manager#/Body/Id}"}):
            body = {"Steps": [manager, step]}
            accepted = await house.client.post(ACTION, json=body, auth=user)
            assert accepted.status_code == 202, accepted.text
            task = await house.ended(accepted)
            assert task["TaskState"] == "Exception"
    assert house.executions("bmc1") == 0


async def test_answer_chooses_no_update(house: House) -> None:
    """Its Targets could not be asked whether this user may update them."""
    update = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"
    await house.ended(await house.change("PATCH", SYSTEM, {"AssetTag": update}))
    before = house.executions("bmc1")
    step = {
        "Name": "update",
        "Method": "POST",
        "Uri": "${look#/Body/AssetTag}",
        "Body": {"ImageURI": "http://h/a.bin", "Targets": ["/redfish/v1/Managers/x"]},
    }
    async with account(house, "Operator") as user:
        body = {"Steps": [LOOK, step]}
        accepted = await house.client.post(ACTION, json=body, auth=user)
        task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "may not choose" in str(task["Messages"])
    assert house.executions("bmc1") == before


async def test_secret_of_an_answer_is_not_shown(house: House) -> None:
    secret = "http://user:pass-77@images.example.com/a"
    machine = house.emulator.machines["bmc1"]
    machine.system.asset_tag = secret
    copy = TAG | {"Body": {"AssetTag": "${look#/Body/AssetTag}"}}
    accepted = await run(house, LOOK, copy)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", task
    steps = await house.client.get(f"{accepted.json()['@odata.id']}/SubTasks?$expand=.")
    assert "********" in steps.text
    assert "pass-77" not in steps.text


async def test_plan_that_waits_for_a_reset_lets_it_pass(house: House) -> None:
    house.emulator.set_modes("bmc1", apply_times=False)
    body = VOLUME["Body"] | {"@Redfish.OperationApplyTime": "OnReset"}
    accepted = await run(house, VOLUME | {"Body": body})
    await until_step(house, accepted, "volume", "Pending")
    reject = {"Task-Conflict": "reject"}

    async def passes() -> bool:
        answer = await house.client.post(RESET, json=RESTART["Body"], headers=reject)
        return answer.status_code == 202

    await until(passes)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", task


async def until_restarted(
    house: House, *more: Step, pause: list[str]
) -> httpx.Response:
    """Return a plan whose machine was reset, and still makes the volume of it."""
    house.emulator.set_modes("bmc1", seconds=8)
    body = VOLUME["Body"] | {"@Redfish.OperationApplyTime": "OnReset"}
    steps = [VOLUME | {"Body": body}, RESTART, *more]
    given = {"Steps": steps, "PauseBefore": ["restart", *pause]}
    accepted = await house.change("POST", ACTION, given)
    await house.until(accepted, "Suspended")
    house.emulator.set_modes("bmc1", seconds=0.1)
    await resume(house, accepted)
    await until_step(house, accepted, "restart", "Completed")
    assert (await states(house, accepted))["volume"] != "Completed"
    return accepted


async def test_step_that_waits_for_a_volume_can_be_suspended(house: House) -> None:
    tag = TAG | {"Body": {"AssetTag": "of-${volume#/StatusCode}"}}
    accepted = await until_restarted(house, tag, pause=[])
    uri = f"{accepted.json()['@odata.id']}/Actions/Oem/Taskfish.Suspend"
    assert (await house.client.post(uri, json={})).status_code == 204
    await until_step(house, accepted, "volume", "Completed")
    await house.until(accepted, "Suspended")
    assert (await states(house, accepted))["tag"] == "New"
    assert house.executions("bmc1", "PATCH") == 0
    await resume(house, accepted)
    assert (await house.ended(accepted))["TaskState"] == "Completed"
    assert house.executions("bmc1", "PATCH") == 1


async def test_plan_is_not_suspended_while_its_volume_is_made(house: House) -> None:
    accepted = await until_restarted(house, LOOK, pause=["look"])
    await house.until(accepted, "Suspended")
    assert (await states(house, accepted))["volume"] == "Completed"
    await resume(house, accepted)
    assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_of_many_faults_the_first_are_told(house: House) -> None:
    many = {f"k{number}": 1 for number in range(20_000)}
    refused = await house.client.post(ACTION, json={"Steps": [], **many})
    assert refused.status_code == 400
    assert len(messages(refused)) == 100
    step = LOOK | {"Uri": SYSTEM, "Name": "a"}
    faulty = {"Name": "b", "Method": "POST", "Uri": VOLUMES, "Body": "${a#x}" * 9_000}
    refused = await run(house, step, faulty)
    assert refused.status_code == 400
    assert len(messages(refused)) == 100


async def test_secrets_of_steps_stay_out_of_temporal(house: House) -> None:
    secret = "correct-horse-battery-77"
    before = await rows(house)
    create: Step = {
        "Name": "create",
        "Method": "POST",
        "Uri": ACCOUNTS,
        "Body": {"UserName": "eve", "Password": secret, "RoleId": "Operator"},
    }
    accepted = await run(house, create, LOOK)
    assert accepted.status_code == 202, accepted.text
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", task
    login = httpx.BasicAuth("eve", secret)
    async with httpx.AsyncClient(auth=login, trust_env=False) as eve:
        systems = f"{house.addresses.bmcs[0]}/redfish/v1/Systems"
        assert (await eve.get(systems)).status_code == 200
    assert secret not in str(task)
    assert "********" in task["Payload"]["JsonBody"]
    history = await house.workflow(accepted).fetch_history()
    decoded = await house.temporal.data_converter.decode(
        history.events[0].workflow_execution_started_event_attributes.input.payloads
    )
    assert secret not in str(decoded)
    assert await rows(house, of_secrets=True) <= before
    refused = await run(
        house, LOOK, create | {"Body": {"Name": "${look#/Body/Id}", "Password": "x"}}
    )
    assert messages(refused)[0].startswith("Steps/1/Body: ")


async def test_headers_are_those_of_every_task(house: House) -> None:
    slow = [LOOK | {"Until": {"Pointer": "/Id", "Value": "never"}}]
    headers = {"Task-Id": "plan-1", "Task-Timeout": "1", "Task-Tags": "night"}
    accepted = await run(house, *slow, **headers)
    assert accepted.json()["Id"] == "plan-1"
    again = await run(house, *slow, **{"Task-Id": "plan-1"})
    assert (again.status_code, message_keys(again)) == (409, ["ResourceInUse"])
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert task["Oem"]["Taskfish"]["Tags"] == ["night"]
    assert (await house.final(accepted)).status_code == 500
    once = {"Idempotency-Key": "key-of-a-plan", "Prefer": "wait=20"}
    first = await run(house, LOOK, **once)
    assert first.status_code == 204, first.text
    second = await run(house, LOOK, **once)
    assert second.headers["Task-Id"] == first.headers["Task-Id"]
    other = await run(house, VOLUME, **once)
    assert other.status_code == 422


async def test_conflict_is_asked_of_every_machine(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=5)
    other = await house.reset("bmc1.1")
    before = await rows(house)
    refused = await run(house, RESTART, **{"Task-Conflict": "reject"})
    assert refused.status_code == 409
    assert message_keys(refused) == ["ResourceInUse"]
    assert other.json()["@odata.id"] in refused.headers["Link"]
    assert await rows(house) <= before


async def test_plan_that_only_reads_takes_no_turn(house: House) -> None:
    never = {"Pointer": "/PowerState", "Value": "Never"}
    reading = await run(house, LOOK | {"Until": never})
    assert reading.status_code == 202
    change = await house.change(
        "POST", RESET, RESTART["Body"], **{"Task-Conflict": "reject"}
    )
    assert change.status_code == 202, change.text
    await house.client.delete(reading.json()["@odata.id"])


async def test_far_too_many_steps_are_refused_at_once(house: House) -> None:
    """Looked at one by one they would hold up all others for minutes."""
    steps = [{"Name": "a", "Method": "GET", "Uri": "/x"}] * 20_000
    begun = time.process_time()
    refused = await house.client.post(ACTION, json={"Steps": steps})
    assert refused.status_code == 400
    assert time.process_time() - begun < 3


async def test_source_that_is_down_is_told_of_at_once(house: House) -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    row = update(sources).where(sources.c.id == "bmc1").values(down_since=since)
    async with house.store.write() as connection:
        await connection.execute(row)
    refused = await run(house, RESTART)
    assert refused.status_code == 503
    assert "Retry-After" in refused.headers
    assert messages(refused)[0].startswith("Steps/0: ")


async def test_service_offers_the_action(house: House) -> None:
    service = (await house.client.get(SERVICE)).json()
    action = service["Actions"]["Oem"]["#Taskfish.RunPlan"]
    assert action["target"] == ACTION
    info = (await house.client.get(action["@Redfish.ActionInfo"])).json()
    (steps,) = [each for each in info["Parameters"] if each["Name"] == "Steps"]
    assert steps == {
        "Name": "Steps",
        "Required": True,
        "DataType": "ObjectArray",
        "ObjectDataType": "#Taskfish.v1_0_0.PlanStep",
    }
    head = await house.client.head(action["@Redfish.ActionInfo"])
    assert (head.status_code, head.content) == (200, b"")
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        wrong = await house.client.request(method, ACTION)
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
    unknown = await house.client.post(
        f"{SERVICE}/Actions/Oem/Taskfish.Nothing", json={}
    )
    assert unknown.status_code == 404


async def test_plan_can_be_cancelled(house: House) -> None:
    never = LOOK | {"Name": "never", "Until": {"Pointer": "/Id", "Value": "never"}}
    accepted = await run(house, VOLUME, never)
    plan = house.workflow(accepted)
    async with asyncio.timeout(30):
        while (await plan.query("steps")).get("never") != "Running":
            await asyncio.sleep(0.05)
    assert (await house.client.delete(accepted.headers["Location"])).status_code == 202
    task = await house.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert house.executions("bmc1", "DELETE") == 1
