"""DELETE on a Task and on its monitor: it reaches the machine, or says why not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import JsonValue
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.task_reader import refusal_in
from api.task_view import OpenMemo, open_view
from tests.api.accounts import account
from tests.api.answers import members, message_keys
from tests.api.governing import (
    act,
    allowed,
    delete,
    has_started,
    monitor_uri,
    requests_to_cancel,
    signals,
    task_uri,
    until_followed,
    view_of,
)
from tests.api.test_service import without_temporal
from tests.conftest import KEY
from tests.house import SOURCES, TASKS, USER, House, open_house, source_body
from tests.plugins.scripted_service import ScriptedService, http, scripted
from tests.workflows.houses import (
    add,
    bmc_house,
    history_of,
    until,
    until_begun,
    until_executed,
    words_of,
)

UriOf = Callable[[httpx.Response], str]
MONITORS = "/redfish/v1/TaskService/TaskMonitors"
BOTH = pytest.mark.parametrize("machine", ["node1", "bmc1"])
TASK_AND_MONITOR = pytest.mark.parametrize("uri_of", [task_uri, monitor_uri])


async def long_change(
    house: House, machine: str = "bmc1", **modes: Any
) -> httpx.Response:
    """Return the 202 of a change that goes on and that the source is seen to do."""
    house.emulator.set_modes(machine, seconds=30, abort_seconds=0.2, **modes)
    accepted = await house.create_volume(f"{machine}.1")
    await until_followed(house, accepted)
    return accepted


def outcomes(house: House, machine: str) -> list[str]:
    return [each.outcome for each in house.emulator.executions(machine)]


@BOTH
@TASK_AND_MONITOR
async def test_delete_aborts_at_the_source(
    house: House, machine: str, uri_of: UriOf
) -> None:
    accepted = await long_change(house, machine)
    response = await delete(house, uri_of(accepted))
    assert response.status_code == 202
    assert response.headers["Location"] == accepted.headers["Location"]
    assert response.json()["@odata.id"] == task_uri(accepted)
    assert response.json()["TaskState"] == "Cancelling"
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Cancelled", "Warning")
    assert has_started(task)
    assert f"cancelled by {USER}" in words_of(task)
    assert "has aborted its task" in words_of(task)
    assert outcomes(house, machine) == ["cancelled"]
    assert (await house.client.get(monitor_uri(accepted))).status_code == 404


async def test_cancelling_says_who_has_asked(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=30, abort_seconds=20)
    accepted = await house.create_volume("bmc1.1")
    await house.until(accepted, "Running")
    await delete(house, task_uri(accepted))
    task = await house.task(accepted)
    last = task["Messages"][-1]
    assert f"{USER} has asked to cancel" in last["Message"]
    assert last["MessageId"].endswith(".TaskProgressChanged")
    assert "EndTime" not in task


async def test_cancelled_task_stays_until_it_is_deleted(house: House) -> None:
    accepted = await long_change(house)
    await delete(house, task_uri(accepted))
    assert (await house.ended(accepted))["TaskState"] == "Cancelled"
    assert "DELETE" in await allowed(house, task_uri(accepted))
    for method in ("GET", "DELETE", "PATCH", "OPTIONS", "FROB"):
        gone = await house.client.request(method, monitor_uri(accepted))
        assert (gone.status_code, "Allow" in gone.headers) == (404, False)
    removed = await delete(house, task_uri(accepted))
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await house.client.get(task_uri(accepted))).status_code == 404
    again = await delete(house, task_uri(accepted))
    assert again.status_code == 404
    assert message_keys(again) == ["ResourceMissingAtURI"]


async def test_second_delete_changes_nothing(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=30, abort_seconds=1)
    accepted = await house.create_volume("bmc1.1")
    await house.until(accepted, "Running")
    first = await delete(house, task_uri(accepted))
    later = [
        await delete(house, uri_of(accepted))
        for uri_of in (task_uri, monitor_uri, task_uri)
    ]
    for response in later:
        assert response.status_code == 202
        assert response.headers["Location"] == first.headers["Location"]
        assert response.json()["TaskState"] == "Cancelling"
    assert await requests_to_cancel(house, accepted) == (1, 1)
    assert (await house.ended(accepted))["TaskState"] == "Cancelled"


async def test_deletes_at_once_end_one_task(house: House) -> None:
    accepted = await long_change(house)
    uris = [task_uri(accepted), monitor_uri(accepted)] * 4
    responses = await asyncio.gather(*(delete(house, uri) for uri in uris))
    assert {response.status_code for response in responses} == {202}
    assert (await house.ended(accepted))["TaskState"] == "Cancelled"
    assert outcomes(house, "bmc1") == ["cancelled"]


@BOTH
@TASK_AND_MONITOR
async def test_unabortable_task_refuses_delete(
    house: House, machine: str, uri_of: UriOf
) -> None:
    house.emulator.set_modes(machine, seconds=2, abort="unsupported")
    accepted = await house.create_volume(f"{machine}.1")
    await until_followed(house, accepted, abortable=False)
    for uri in (task_uri(accepted), monitor_uri(accepted)):
        assert await allowed(house, uri) == {"GET", "HEAD"}
    response = await delete(house, uri_of(accepted))
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert message_keys(response) == ["OperationNotAllowed"]
    assert await requests_to_cancel(house, accepted) == (0, 0)
    assert (await house.ended(accepted))["TaskState"] == "Completed"
    assert "DELETE" in await allowed(house, task_uri(accepted))


@asynccontextmanager
async def source_without_tasks(house: House) -> AsyncIterator[ScriptedService]:
    """Give a BMC, added as rack9, that does all work within the request."""
    async with scripted() as service:
        root = "/redfish/v1"
        service.on(f"GET {root}", http(200, {"RedfishVersion": "1.6.0"}))
        for name in ("Systems", "Managers", "Chassis"):
            listed: JsonValue = {"Members": [{"@odata.id": f"{root}/{name}/1"}]}
            service.on(f"GET {root}/{name}", http(200, listed))
            service.on(f"GET {root}/{name}/1", http(200, {"Id": "1"}))
        reset = f"{root}/Systems/1/Actions/ComputerSystem.Reset"
        service.on(f"POST {reset}", http(204))
        await add(house, "rack9", service.url, "Redfish", "password")
        yield service


@TASK_AND_MONITOR
async def test_source_without_tasks_is_cancelled_only_before_it_is_sent(
    house: House, uri_of: UriOf
) -> None:
    async with source_without_tasks(house) as service:
        await house.stop_worker()
        unsent, sent = [await house.reset("rack9.1") for _ in "12"]
        for accepted in (unsent, sent):
            assert "DELETE" in await allowed(house, uri_of(accepted))
        assert (await delete(house, uri_of(unsent))).status_code == 202
        service.delay = 1
        await house.start_worker()
        await until_begun(house, sent, "submit")
        assert await allowed(house, uri_of(sent)) == {"GET", "HEAD"}
        refused = await delete(house, uri_of(sent))
        assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
        assert await requests_to_cancel(house, sent) == (0, 0)
        assert (await house.ended(sent))["TaskState"] == "Completed"
        assert (await house.ended(unsent))["TaskState"] == "Cancelled"
        posts = [line for line in service.lines() if line.startswith("POST")]
        assert len(posts) == 1
        service.delay = 0
        assert "DELETE" in await allowed(house, task_uri(sent))


async def test_allow_shows_delete_while_it_is_possible(house: House) -> None:
    accepted = await long_change(house)
    uris = (task_uri(accepted), monitor_uri(accepted))
    for uri in uris:
        assert await allowed(house, uri) == {"GET", "HEAD", "DELETE"}
        refused = await house.client.patch(uri, json={})
        assert refused.status_code == 405
        assert refused.headers["Allow"] == "GET, HEAD, DELETE"
    house.emulator.set_modes("bmc1", abort_seconds=5)
    cancelling = await delete(house, uris[0])
    assert cancelling.headers["Allow"] == "GET, HEAD, DELETE"


@pytest.mark.parametrize("verb", ["OPTIONS", "TRACE", "PUT", "POST", "FROB"])
async def test_other_methods_are_405(house: House, verb: str) -> None:
    accepted = await house.reset("bmc1.1")
    await house.ended(accepted)
    for uri in (task_uri(accepted), monitor_uri(accepted)):
        response = await house.client.request(verb, uri)
        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD, DELETE"


async def test_delete_of_an_ended_task_removes_it(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    await house.ended(accepted)
    response = await delete(house, task_uri(accepted))
    assert response.status_code == 204
    for uri in (task_uri(accepted), monitor_uri(accepted)):
        assert (await house.client.get(uri)).status_code == 404

    async def is_unlisted() -> bool:
        return task_uri(accepted) not in members(await house.client.get(TASKS))

    await until(is_unlisted)


async def test_delete_of_an_ended_monitor_leaves_the_task(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    await house.ended(accepted)
    response = await delete(house, monitor_uri(accepted))
    assert response.status_code == 204
    assert (await house.client.get(monitor_uri(accepted))).status_code == 404
    assert (await delete(house, monitor_uri(accepted))).status_code == 404
    task = await house.task(accepted)
    assert task["TaskState"] == "Completed"
    assert "TaskMonitor" not in task
    assert (await delete(house, task_uri(accepted))).status_code == 204


async def test_delete_of_a_killed_task_removes_it(house: House) -> None:
    accepted = await long_change(house)
    await house.workflow(accepted).terminate()
    assert (await delete(house, task_uri(accepted))).status_code == 204
    assert (await house.client.get(task_uri(accepted))).status_code == 404


@pytest.mark.parametrize(
    "name", ["none", "watch%3Abmc1", "a'b", "x" * 300, "none~none"]
)
async def test_delete_of_an_unknown_task_is_404(house: House, name: str) -> None:
    for uri in (f"{TASKS}/{name}", f"{MONITORS}/{name}"):
        response = await delete(house, uri)
        assert response.status_code == 404
        assert message_keys(response) == ["ResourceMissingAtURI"]


async def test_refused_abort_is_asked_for_again(house: House) -> None:
    accepted = await long_change(house, abort="refused")
    assert (await delete(house, task_uri(accepted))).status_code == 202
    task = await house.until(accepted, "Running")
    assert "EndTime" not in task
    last = task["Messages"][-1]["Message"]
    assert f"{USER} has asked to cancel" in last
    assert "its source has refused: source bmc1 answered the abort with" in last
    assert last.endswith("It goes on.")
    assert "DELETE" in await allowed(house, task_uri(accepted))
    house.emulator.set_modes("bmc1", abort="supported")
    assert (await delete(house, monitor_uri(accepted))).status_code == 202
    assert (await house.ended(accepted))["TaskState"] == "Cancelled"
    assert await requests_to_cancel(house, accepted) == (1, 2)


async def test_refusal_of_an_earlier_version_is_told_without_a_reason(
    house: House,
) -> None:
    accepted = await long_change(house)
    by_memo = OpenMemo(abort_refused=refusal_in(True))
    run = await house.workflow(accepted).describe()
    request = (await view_of(house, accepted)).request
    view = open_view(run, request, by_memo, None, "ada")
    assert not view.is_cancelling
    last = view.messages[-1].message
    assert last.endswith("its source has refused: it gave no reason. It goes on.")


async def test_cancel_before_the_plugin_is_called_calls_nothing(house: House) -> None:
    await house.stop_worker()
    accepted = await house.reset("node1.1")
    response = await delete(house, task_uri(accepted))
    assert response.json()["TaskState"] == "Cancelling"
    assert f"{USER} has asked" in words_of(response.json())
    assert "its change is not sent any more" in words_of(response.json())
    assert "its source has ended it" not in words_of(response.json())
    await house.start_worker()
    task = await house.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    for each in (response.json(), task):
        assert not has_started(each)
    assert f"cancelled by {USER}; nothing was sent" in words_of(task)
    assert house.executions("node1") == 0


@BOTH
async def test_plugin_that_finished_first_completes(house: House, machine: str) -> None:
    house.emulator.set_modes(machine, seconds=0.5)
    accepted = await house.create_volume(f"{machine}.1")
    await until_followed(house, accepted)
    await house.stop_worker()

    def has_finished() -> bool:
        house.emulator.machines[machine].timeline.advance()
        return outcomes(house, machine) == ["completed"]

    await until(has_finished)
    assert (await delete(house, task_uri(accepted))).status_code == 202
    await house.start_worker()
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", words_of(task)
    assert (await house.final(accepted)).status_code == 201


async def test_cancel_of_what_ends_meanwhile_answers_202(house: House) -> None:
    """The DELETE comes for a running task, whose end it must not throw away."""
    accepted = await house.reset("bmc1.1")
    response = await delete(house, task_uri(accepted))
    assert response.status_code == 202
    task = await house.ended(accepted)
    assert task["TaskState"] in ("Completed", "Cancelled")


async def test_cancel_during_the_sending(house: House) -> None:
    house.emulator.set_modes("node1", answer_delay=0.5, seconds=30, abort_seconds=0)
    accepted = await house.create_volume("node1.1")
    await until_executed(house, "node1")
    assert (await delete(house, task_uri(accepted))).status_code == 202
    assert (await house.ended(accepted))["TaskState"] == "Cancelled"
    assert outcomes(house, "node1") == ["cancelled"]


async def test_percent_does_not_go_back_at_a_cancel(house: House) -> None:
    house.emulator.set_modes("bmc1", pause_at=50, abort_seconds=0)
    accepted = await house.create_volume("bmc1.1")
    await house.until(accepted, "Suspended")
    assert (await house.task(accepted))["PercentComplete"] == 50
    response = await delete(house, task_uri(accepted))
    assert response.json()["PercentComplete"] == 50
    assert (await house.ended(accepted))["PercentComplete"] == 50


async def test_adding_a_source_is_cancelled(temporal: Client, tmp_path: Path) -> None:
    async with open_house(temporal, tmp_path, KEY) as house:
        house.emulator.set_modes("bmc1", read_delay=0.3)
        address = house.addresses.bmcs[0]
        body = source_body("bmc1", address, "Redfish", "password")
        accepted = await house.client.post(SOURCES, json=body)
        await until_begun(house, accepted, "admit_source")
        response = await delete(house, task_uri(accepted))
        assert response.json()["TaskState"] == "Cancelling"
        task = await house.ended(accepted)
        assert task["TaskState"] == "Cancelled"
        assert f"cancelled by {USER}; nothing is kept" in words_of(task)
        assert await requests_to_cancel(house, accepted) == (1, 1)
        assert (await house.client.get(f"{SOURCES}/bmc1")).status_code == 404


async def test_name_of_who_cancels_is_encrypted(house: House) -> None:
    async with account(house, "Administrator") as (name, password):
        accepted = await long_change(house)
        await delete(house, task_uri(accepted), auth=(name, password))
        events = await history_of(house, accepted)
        text = b"".join(event.SerializeToString() for event in events)
        assert signals(events, "Cancel")
        assert name.encode() not in text
        assert name in words_of(await house.ended(accepted))


async def test_delete_is_for_owners_and_managers(house: House) -> None:
    async with account(house, "Operator") as owner, account(house, "Operator") as other:
        house.emulator.set_modes("bmc1", seconds=30, abort_seconds=0)
        accepted = await house.client.post(
            "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset",
            json={"ResetType": "ForceRestart"},
            auth=owner,
        )
        assert accepted.status_code == 202, accepted.text
        for uri in (task_uri(accepted), monitor_uri(accepted)):
            refused = await delete(house, uri, auth=other)
            assert refused.status_code == 403
            assert message_keys(refused) == ["InsufficientPrivilege"]
        assert await requests_to_cancel(house, accepted) == (0, 0)
        assert (await delete(house, task_uri(accepted), auth=owner)).status_code == 202
        await house.ended(accepted)
        refused = await delete(house, task_uri(accepted), auth=other)
        assert refused.status_code == 403
        removed = await delete(house, task_uri(accepted), auth=owner)
        assert removed.status_code == 204


async def test_suspended_task_is_cancelled(house: House) -> None:
    await house.stop_worker()
    accepted = await house.reset("node1.1")
    assert (await act(house, accepted, "Suspend")).status_code == 204
    await house.start_worker()
    await house.until(accepted, "Suspended")
    assert (await delete(house, task_uri(accepted))).status_code == 202
    assert (await house.ended(accepted))["TaskState"] == "Cancelled"
    assert house.executions("node1") == 0


async def test_cancelled_task_goes_if_the_operator_wants_so(
    temporal: Client, tmp_path: Path
) -> None:
    async with bmc_house(temporal, tmp_path, KEY, cancelled="remove") as house:
        accepted = await long_change(house)
        uri = task_uri(accepted)
        assert (await delete(house, uri)).status_code == 202

        async def is_404() -> bool:
            return (await house.client.get(uri)).status_code == 404

        await until(is_404)
        assert (await house.client.get(monitor_uri(accepted))).status_code == 404
        assert uri not in members(await house.client.get(TASKS))
        assert outcomes(house, "bmc1") == ["cancelled"]

        async def is_gone() -> bool:
            try:
                await house.workflow(accepted).describe()
            except RPCError as error:
                return error.status is RPCStatusCode.NOT_FOUND
            await house.client.get(uri)
            return False

        await until(is_gone)


async def test_delete_without_temporal_is_503(house: House) -> None:
    accepted = await long_change(house)
    async with without_temporal(house) as client:
        for uri in (task_uri(accepted), monitor_uri(accepted)):
            response = await client.delete(uri)
            assert response.status_code == 503
            assert int(response.headers["Retry-After"]) > 0
        kill = f"{task_uri(accepted)}/Actions/Oem/Taskfish.Kill"
        assert (await client.post(kill)).status_code == 503
    assert (await house.task(accepted))["TaskState"] == "Running"
