"""SubTasks over HTTP: the steps of a multi-step operation, read, held and cancelled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from temporalio.service import RPCError

from api.app import create_app
from tests.api.accounts import account
from tests.api.answers import members, message_keys
from tests.api.governing import act
from tests.composing import (
    ACTION,
    BEFORE_RESET,
    STEPS,
    create_and_reset,
    resume,
    states,
    step_uri,
    sub_task,
    sub_tasks,
    until_sent,
    until_step,
    wanted,
)
from tests.house import House
from tests.workflows.houses import BMC, until_executed, words_of

TASK_PROPERTIES_NOT_OF_STEPS = {"TaskMonitor", "SubTasks", "Actions"}


def steps_uri(accepted: httpx.Response) -> str:
    return f"{accepted.json()['@odata.id']}/SubTasks"


@pytest.fixture
async def held(house: House) -> AsyncIterator[httpx.Response]:
    """Give an operation that waits before its reset, the volume being created."""
    accepted = await create_and_reset(house, PauseBefore=["reset"])
    await house.until(accepted, "Suspended")
    yield accepted
    with suppress(RPCError):
        await house.workflow(accepted).terminate()


async def test_steps_are_there_without_a_worker(house: House) -> None:
    await house.stop_worker()
    accepted = await create_and_reset(house)
    task = await house.task(accepted)
    assert task["SubTasks"] == {"@odata.id": steps_uri(accepted)}
    answer = await house.client.get(steps_uri(accepted))
    assert answer.json()["@odata.type"] == "#TaskCollection.TaskCollection"
    assert members(answer) == [step_uri(accepted, name) for name in STEPS]
    assert answer.headers["Allow"] == "GET, HEAD"
    steps = await sub_tasks(house, accepted)
    assert {step["TaskState"] for step in steps.values()} == {"New"}
    assert "StartTime" not in steps["reset"]
    assert steps["reset"]["Oem"]["Taskfish"]["Operation"] == "ComputerSystem.Reset"


async def test_each_step_is_a_task_of_its_own(
    house: House, held: httpx.Response
) -> None:
    steps = await sub_tasks(house, held)
    assert list(steps) == STEPS
    created, waiting = steps["create-volume"], steps["reset"]
    assert (created["TaskState"], created["TaskStatus"]) == ("Completed", "OK")
    volume = f"{BMC}/Storage/1/Volumes/1"
    assert created["Links"]["CreatedResources"] == [{"@odata.id": volume}]
    assert created["Payload"]["HttpOperation"] == "POST"
    assert waiting["TaskState"] == "New"
    for step in steps.values():
        assert step == await sub_task(house, held, step["Id"])
        assert step["@odata.id"] == step_uri(held, step["Id"])
        assert step["@odata.type"] == "#Task.v1_7_4.Task"
        assert not TASK_PROPERTIES_NOT_OF_STEPS & step.keys()
    await resume(house, held)
    task = await house.ended(held)
    assert (task["TaskState"], task["PercentComplete"]) == ("Completed", 100)
    ended = await sub_tasks(house, held)
    assert {step["TaskState"] for step in ended.values()} == {"Completed"}
    assert {step["Oem"]["Taskfish"]["ExpiresAt"] for step in ended.values()} == {
        task["Oem"]["Taskfish"]["ExpiresAt"]
    }


async def test_steps_are_no_tasks_of_the_collection(
    house: House, held: httpx.Response
) -> None:
    tasks = await house.client.get("/redfish/v1/TaskService/Tasks")
    assert not [uri for uri in members(tasks) if ":" in uri or "SubTasks" in uri]
    named = f"{held.json()['@odata.id']}:reset"
    assert (await house.client.get(named)).status_code == 404


async def test_pages_follow_the_plan(house: House, held: httpx.Response) -> None:
    seen, uri = [], f"{steps_uri(held)}?$top=4&$expand=.&$select=TaskState"
    while uri:
        body = (await house.client.get(uri)).json()
        assert body["Members@odata.count"] == len(STEPS)
        seen += body["Members"]
        uri = body.get("Members@odata.nextLink")
    assert [each["@odata.id"] for each in seen] == [
        step_uri(held, name) for name in STEPS
    ]
    shown = [each["TaskState"] for each in seen]
    assert shown == [*["Completed"] * 3, *["New"] * 3]
    assert all("Oem" not in each for each in seen)
    rest = await house.client.get(f"{steps_uri(held)}?$skip=5")
    assert [each["@odata.id"] for each in rest.json()["Members"]] == [
        step_uri(held, "volume-listed")
    ]


@pytest.mark.parametrize(
    ("query", "status"),
    [("$skiptoken=x", 400), ("$top=x", 400), ("$filter=Id eq 'x'", 501)],
)
async def test_unknown_options_are_refused(
    house: House, held: httpx.Response, query: str, status: int
) -> None:
    answer = await house.client.get(f"{steps_uri(held)}?{query}")
    assert answer.status_code == status


async def test_what_is_not_there_is_404(house: House, held: httpx.Response) -> None:
    single = await house.reset("bmc1.1")
    for uri in (
        steps_uri(single),
        step_uri(single, "reset"),
        step_uri(held, "unknown"),
        f"{step_uri(held, 'reset')}/SubTasks",
        "/redfish/v1/TaskService/Tasks/unknown/SubTasks",
    ):
        assert (await house.client.get(uri)).status_code == 404
    assert "SubTasks" not in await house.task(single)


async def test_other_methods_are_405(house: House, held: httpx.Response) -> None:
    for method in ("POST", "PATCH", "PUT", "DELETE"):
        for uri in (steps_uri(held), step_uri(held, "reset")):
            answer = await house.client.request(method, uri, json={})
            assert answer.status_code == 405
            assert answer.headers["Allow"] == "GET, HEAD"


async def test_step_that_does_not_run_is_not_cancelled(
    house: House, held: httpx.Response
) -> None:
    for name, why in (("reset", "has not begun"), ("create-volume", "has ended")):
        answer = await house.client.delete(step_uri(held, name))
        assert (answer.status_code, message_keys(answer)) == (
            405,
            ["OperationNotAllowed"],
        )
        assert why in answer.text
    assert (await house.task(held))["TaskState"] == "Suspended"


async def test_cancelled_step_ends_the_operation(house: House) -> None:
    house.emulator.set_modes("bmc1", abort_seconds=0)
    accepted = await create_and_reset(house, PauseBefore=["reset"])
    await house.until(accepted, "Suspended")
    house.emulator.set_modes("bmc1", seconds=30)
    await resume(house, accepted)
    await until_sent(house, accepted, "reset")
    house.emulator.set_modes("bmc1", seconds=0.1)
    shown = await house.client.get(step_uri(accepted, "reset"))
    assert "DELETE" in shown.headers["Allow"]
    answer = await house.client.delete(step_uri(accepted, "reset"))
    assert answer.status_code == 202
    assert answer.json()["@odata.id"] == step_uri(accepted, "reset")
    assert answer.headers["Location"] == accepted.headers["Location"]
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "The step reset has ended as Cancelled" in words_of(task)
    assert "The step create-volume was undone" in words_of(task)
    assert await states(house, accepted) == {
        **dict.fromkeys(BEFORE_RESET, "Completed"),
        "reset": "Cancelled",
        "undo-create-volume": "Completed",
        "system-on": "Cancelled",
        "volume-listed": "Cancelled",
    }
    step = await sub_task(house, accepted, "reset")
    assert "cancelled by admin" in words_of(step)
    never = await sub_task(house, accepted, "system-on")
    assert "was not begun" in words_of(never)
    assert "StartTime" not in never


async def test_operator_cancels_a_step_of_his_own(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=30, abort_seconds=0)
    async with account(house, "Operator") as owner:
        accepted = await house.client.post(ACTION, json=wanted(), auth=owner)
        assert accepted.status_code == 202, accepted.text
        await until_sent(house, accepted, "create-volume")
        uri = step_uri(accepted, "create-volume")
        answer = await house.client.delete(uri, auth=owner)
        assert answer.status_code == 202, answer.text
        task = await house.ended(accepted)
        step = await sub_task(house, accepted, "create-volume")
    assert (task["TaskState"], step["TaskState"]) == ("Exception", "Cancelled")
    assert f"cancelled by {owner[0]}" in words_of(step)


async def test_stranger_neither_cancels_a_step_nor_holds_it(
    house: House, held: httpx.Response
) -> None:
    async with account(house, "Operator") as other:
        uri = step_uri(held, "reset")
        assert (await house.client.get(uri, auth=other)).status_code == 200
        assert (await house.client.delete(uri, auth=other)).status_code == 403
        body = {"Steps": ["reset"]}
        answer = await act(house, held, "PauseBefore", json=body, auth=other)
        assert answer.status_code == 403


async def test_owner_only_hides_the_steps_of_others(
    house: House, held: httpx.Response
) -> None:
    settings = house.settings.model_copy(update={"owner_only": True})
    app = create_app(settings, house.temporal)
    async with (
        account(house, "Operator") as other,
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://gateway", auth=other
        ) as client,
    ):
        for uri in (steps_uri(held), step_uri(held, "reset")):
            for method in ("GET", "HEAD", "DELETE", "PATCH"):
                assert (await client.request(method, uri)).status_code in (403, 404)
            assert (await client.get(uri)).status_code == 404


async def test_running_step_moves_its_operation(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=1)
    accepted = await create_and_reset(house)
    percents, words = [0], ""
    while percents[-1] < 30:
        task = await house.task(accepted)
        percents.append(task["PercentComplete"])
        words += words_of(task)
        await asyncio.sleep(0.05)
    assert percents == sorted(percents)
    assert any(16 < percent < 32 for percent in percents)
    assert f"The step create-volume runs: POST {BMC}/Storage/1/Volumes." in words
    assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_operation_is_suspended_while_a_step_runs(house: House) -> None:
    """The step goes on: nothing is ever refused for having been sent."""
    house.emulator.set_modes("bmc1", seconds=0.5)
    accepted = await create_and_reset(house)
    await until_sent(house, accepted, "create-volume")
    assert (await act(house, accepted, "Suspend")).status_code == 204
    assert (await act(house, accepted, "Suspend")).status_code == 204
    task = await house.until(accepted, "Suspended")
    assert "paused by admin" in words_of(task)
    assert (await states(house, accepted))["create-volume"] == "Completed"
    assert house.executions("bmc1") == 1
    assert (await act(house, accepted, "Resume")).status_code == 204
    assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_pause_before_holds_what_has_not_begun(
    house: House, held: httpx.Response
) -> None:
    info = await house.client.get(
        (await house.task(held))["Actions"]["Oem"]["#Taskfish.PauseBefore"][
            "@Redfish.ActionInfo"
        ]
    )
    (parameter,) = info.json()["Parameters"]
    assert parameter["AllowableValues"] == STEPS[3:]
    for step in ("unknown", "create-volume"):
        answer = await act(house, held, "PauseBefore", json={"Steps": [step]})
        assert answer.status_code == 400
        assert message_keys(answer) == ["ActionParameterValueNotInList"]
        assert "reset, system-on, volume-listed" in answer.text
    wrong: list[dict[str, object]]
    wrong = [{}, {"Steps": []}, {"Steps": "reset"}, {"Step": ["reset"]}]
    for body in wrong:
        answer = await act(house, held, "PauseBefore", json=body)
        assert answer.status_code == 400
    before = {"Steps": ["system-on"]}
    assert (await act(house, held, "PauseBefore", json=before)).status_code == 204
    await resume(house, held)
    await until_step(house, held, "reset", "Completed")
    task = await house.until(held, "Suspended")
    assert "paused by admin, before the step system-on" in words_of(task)
    await resume(house, held)
    assert (await house.ended(held))["TaskState"] == "Completed"
    late = await act(house, held, "PauseBefore", json=before)
    assert late.status_code == 409


async def test_single_change_has_no_step_to_hold(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=1)
    accepted = await house.reset("bmc1.1")
    await until_executed(house)
    answer = await act(house, accepted, "PauseBefore", json={"Steps": ["reset"]})
    assert (answer.status_code, message_keys(answer)) == (400, ["ActionNotSupported"])
