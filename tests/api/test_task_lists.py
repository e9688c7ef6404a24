"""The Tasks collection: whole tasks in one request, found by what they are."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from tests.api.accounts import account
from tests.api.answers import message_keys
from tests.api.governing import act
from tests.api.sessions import another_api
from tests.api.task_lists import (
    Gallery,
    all_pages,
    gallery,
    listed,
    until_visible,
    uris,
)
from tests.house import LONGEST_WAIT, PASSWORD, POLL, TASKS, USER, House
from tests.workflows.houses import FIRST, reset_workflow, until

SYSTEMS = "/redfish/v1/Systems"
TERMINATED = WorkflowExecutionStatus.TERMINATED
ALL = ("done", "failed", "cancelled", "killed", "running", "paused")
ENDED = {"done", "failed", "cancelled", "killed"}
ONLY_IN_TASK = {"Actions", "Messages", "PercentComplete"}
"""What a running task's own resource knows better: its waiting activity tells it."""


async def names(house: House, shown: Gallery, **params: Any) -> set[str]:
    """Return which tasks of the gallery a list has."""
    answer = await listed(house, **params)
    assert answer.status_code == 200, answer.text
    return set(shown.names(answer))


async def test_expanded_list_has_whole_tasks(house: House) -> None:
    shown = await gallery(house)
    await until_visible(house, shown)
    # One's own last tasks are read one by one, those of others are listed.
    async with account(house, "Administrator") as other:
        uri = f"{TASKS}?$expand=.&tag={shown.tag}"
        answer = await house.client.get(uri, auth=other)
    bodies = {body["Id"]: body for body in answer.json()["Members"]}
    assert set(bodies) == shown.ids()
    assert answer.json()["Members@odata.count"] == len(ALL)
    for name, accepted in shown.accepted.items():
        task = (await house.client.get(accepted.json()["@odata.id"])).json()
        body = bodies[task["Id"]]
        if name in ENDED:
            assert body == task
            continue
        for left_out in ONLY_IN_TASK:
            task.pop(left_out, None)
            body.pop(left_out, None)
        deadlines = [each["Oem"]["Taskfish"].pop("Deadline") for each in (body, task)]
        earlier, later = sorted(map(datetime.fromisoformat, deadlines))
        assert later - earlier < timedelta(seconds=2)
        assert body == task


async def test_running_task_in_a_list_says_how_far_it_is(house: House) -> None:
    house.emulator.set_modes("bmc1", pause_at=50)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Suspended")
    uri = f"{TASKS}?$expand=.&$filter=Id eq '{accepted.json()['Id']}'"
    async with account(house, "Administrator") as other:
        answer = await house.client.get(uri, auth=other)
    (body,) = answer.json()["Members"]
    assert body["TaskState"] == "Suspended"
    assert body["PercentComplete"] == 50
    assert body["Messages"][-1]["MessageId"].endswith(".TaskPaused")


async def test_request_id_ties_a_request_to_its_task(house: House) -> None:
    shown = await gallery(house)
    assert await names(house, shown, requestId=f"req-{shown.tag}") == {"done"}


async def test_unknown_option_is_501_and_other_parameters_are_ignored(
    house: House,
) -> None:
    answer = await house.client.get(f"{TASKS}?$orderby=Name")
    assert (answer.status_code, message_keys(answer)) == (501, ["QueryNotSupported"])
    assert (await house.client.get(f"{TASKS}?colour=red")).status_code == 200


async def test_pages_have_every_task_once(house: House) -> None:
    shown = await gallery(house)
    await until_visible(house, shown)
    first = await listed(house, tag=shown.tag, _top=2)
    assert len(first.json()["Members"]) == 2
    assert first.json()["Members@odata.count"] == len(ALL)
    members = await all_pages(house, first)
    assert len(members) == len(ALL)
    found = {member["@odata.id"].rpartition("/")[2] for member in members}
    assert found == shown.ids()


async def test_page_has_no_more_than_was_asked_for(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    tag = {"Task-Tags": f"burst{time.monotonic_ns()}"}
    uri, body = f"{SYSTEMS}/bmc1.1/Actions/ComputerSystem.Reset", {"ResetType": "Nmi"}
    started = [await house.change("POST", uri, body, **tag) for _ in range(7)]
    members = []
    answer = await listed(house, tag=tag["Task-Tags"], _top=3)
    while True:
        page = uris(answer)
        assert len(page) <= 3
        members += page
        link = answer.json().get("Members@odata.nextLink")
        if link is None:
            break
        answer = await house.client.get(link)
    assert sorted(members) == sorted(each.json()["@odata.id"] for each in started)


async def test_task_whose_workflow_was_reset_is_listed_once(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Running")
    task_id = accepted.json()["Id"]
    await reset_workflow(house, accepted, FIRST)

    async def both_runs_are_visible() -> bool:
        query = f"WorkflowId = '{task_id}'"
        runs = [run async for run in house.temporal.list_workflows(query)]
        follows = f"{query} AND ExecutionStatus = 'Running' AND TaskState = 'Running'"
        following = (await house.temporal.count_workflows(follows)).count == 1
        ended = [run.status for run in runs].count(TERMINATED) == 1
        return len(runs) == 2 and ended and following

    await until(both_runs_are_visible)
    async with account(house, "Administrator") as other:
        for query in (f"Id eq '{task_id}'", "TaskState eq 'Killed'"):
            uri = f"{TASKS}?$expand=.&$filter={query}"
            answer = await house.client.get(uri, auth=other)
            bodies = [
                each for each in answer.json()["Members"] if each["Id"] == task_id
            ]
            assert [each["TaskState"] for each in bodies] == (
                ["Running"] if task_id in query else []
            )


async def test_beginnings_are_told_apart_by_case(house: House) -> None:
    accepted = await house.reset("node1.1")
    task = await house.ended(accepted)
    start = task["Id"][:20]
    found = await listed(house, _filter=f"startswith(Id, '{start}')")
    assert task["@odata.id"] in uris(found)
    found = await listed(house, _filter=f"startswith(Id, '{start.upper()}')")
    assert uris(found) == []


async def test_pages_are_not_moved_by_what_starts_meanwhile(house: House) -> None:
    shown = await gallery(house)
    await until_visible(house, shown)
    first = await listed(house, tag=shown.tag, _top=2)
    late = await house.change(
        "POST",
        f"{SYSTEMS}/node2.1/Actions/ComputerSystem.Reset",
        {"ResetType": "ForceRestart"},
        **{"Task-Tags": shown.tag},
    )
    members = await all_pages(house, first)
    found = [member["@odata.id"].rpartition("/")[2] for member in members]
    assert len(found) == len(set(found))
    assert set(found) == shown.ids()
    assert late.json()["Id"] not in found


async def test_newest_come_first_the_open_ones_before_all(house: House) -> None:
    shown = await gallery(house)
    await until_visible(house, shown)
    answer = await listed(house, tag=shown.tag)
    expected = ["paused", "running", "killed", "cancelled", "failed", "done"]
    assert shown.names(answer) == expected


async def test_skip_leaves_out_the_first(house: House) -> None:
    shown = await gallery(house)
    await until_visible(house, shown)
    everything = uris(await listed(house, tag=shown.tag))
    for skip in (0, 1, 4, 6, 100):
        answer = await listed(house, tag=shown.tag, _skip=skip)
        assert uris(answer) == everything[skip:]
    answer = await listed(house, tag=shown.tag, _skip=1, _top=2)
    assert uris(answer) == everything[1:3]
    rest = await all_pages(house, answer)
    assert [member["@odata.id"] for member in rest] == everything[1:]


async def test_top_of_nothing_only_counts(house: House) -> None:
    shown = await gallery(house)
    await until_visible(house, shown)
    body = (await listed(house, tag=shown.tag, _top=0)).json()
    assert body["Members"] == []
    assert body["Members@odata.count"] == len(ALL)
    assert "Members@odata.nextLink" not in body


async def test_select_that_is_no_path_is_refused_at_once(house: House) -> None:
    """A pattern that tries all ways to read it would take hours."""
    answer = await house.client.get(TASKS, params={"$select": "a" * 60 + "!"})
    assert answer.status_code == 400
    assert message_keys(answer) == ["QueryParameterValueFormatError"]


async def test_select_leaves_only_what_was_asked_for(house: House) -> None:
    shown = await gallery(house)
    answer = await listed(
        house, tag=shown.tag, _expand=".", _select="TaskState,Oem/Taskfish/Tags,Colour"
    )
    for body in answer.json()["Members"]:
        assert set(body) == {"@odata.id", "@odata.type", "TaskState", "Oem"}
        assert set(body["Oem"]["Taskfish"]) == {"@odata.type", "Tags"}
    answer = await listed(house, tag=shown.tag, _select="Name")
    assert set(answer.json()) == {
        "@odata.id",
        "@odata.type",
        "Name",
        "Members@odata.count",
    }


async def test_only_gives_the_one_task_that_there_is(house: House) -> None:
    shown = await gallery(house)
    only = f"{TASKS}?only&tag={shown.tag}&state="
    answer = await house.client.get(f"{only}completed")
    task = shown.accepted["done"].json()
    assert answer.json()["@odata.id"] == task["@odata.id"]
    assert answer.json()["TaskState"] == "Completed"
    assert len(uris(await house.client.get(f"{only}ended"))) == len(ENDED)
    assert uris(await house.client.get(f"{only}new")) == []


@pytest.mark.parametrize("round_", range(8))
async def test_own_last_request_is_never_missing_or_stale(
    house: House, round_: int
) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    accepted = await house.reset("bmc1.1")
    task_id, uri = accepted.json()["Id"], accepted.json()["@odata.id"]
    assert uri in uris(await listed(house))
    assert uri in uris(await listed(house, state="active"))
    await house.until(accepted, "Running")
    await house.client.delete(uri)
    answer = await listed(house, _expand=".", _filter=f"Id eq '{task_id}'")
    (body,) = answer.json()["Members"]
    assert body["TaskState"] in ("Cancelling", "Cancelled")
    assert uri not in uris(await listed(house, state="running"))
    await house.ended(accepted)
    answer = await listed(house, _expand=".", _filter=f"Id eq '{task_id}'")
    (body,) = answer.json()["Members"]
    assert body["TaskState"] == "Cancelled"
    assert (await house.client.delete(uri)).status_code in (202, 204)
    while (await house.client.get(uri)).status_code != 404:
        await asyncio.sleep(POLL)
    assert uri not in uris(await listed(house))


async def test_killed_task_is_listed_as_its_own_resource_says(house: House) -> None:
    house.emulator.set_modes("bmc1", pause_at=50)
    accepted = await house.create_volume("bmc1.1")
    await house.until(accepted, "Suspended")
    await act(house, accepted, "Kill")
    task = await house.task(accepted)
    assert "killed by" in task["Messages"][-1]["Message"]
    async with asyncio.timeout(LONGEST_WAIT):
        while True:
            answer = await listed(house, _expand=".", _filter=f"Id eq '{task['Id']}'")
            if answer.json()["Members"] == [task]:
                return
            await asyncio.sleep(POLL)


async def test_owner_only_lists_and_counts_ones_own(house: House) -> None:
    async with (
        another_api(house, owner_only=True) as client,
        account(house, "Operator") as ada,
        account(house, "Operator") as bob,
    ):
        uri = f"{SYSTEMS}/node1.1/Actions/ComputerSystem.Reset"
        accepted = await client.post(uri, json={"ResetType": "ForceRestart"}, auth=ada)
        own = accepted.json()["@odata.id"]
        answer = await client.get(f"{TASKS}?$expand=.", auth=ada)
        assert uris(answer) == [own]
        assert answer.json()["Members@odata.count"] == 1
        answer = await client.get(f"{TASKS}?owner={ada[0]}", auth=bob)
        assert uris(answer) == []
        assert answer.json()["Members@odata.count"] == 0
        members = f"{SYSTEMS}/node1.1/Oem/Taskfish/Tasks"
        assert uris(await client.get(members, auth=bob)) == []
        assert own in uris(await client.get(members, auth=(USER, PASSWORD)))
        await house.ended(accepted)


async def test_cancelled_tasks_that_go_are_not_listed(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    accepted = await house.reset("bmc1.1")
    uri = accepted.json()["@odata.id"]
    await house.until(accepted, "Running")
    await house.client.delete(uri)
    await house.ended(accepted)
    async with another_api(house, cancelled="remove") as client:
        answer = await client.get(TASKS, auth=(USER, PASSWORD))
        assert uri not in uris(answer)
    assert uri in uris(await listed(house))


@pytest.mark.parametrize("collection", ["Systems", "Chassis", "Managers"])
async def test_member_links_to_its_tasks(house: House, collection: str) -> None:
    (uri, *_) = uris(await house.client.get(f"/redfish/v1/{collection}"))[-1:]
    member = (await house.client.get(uri)).json()
    assert member["Oem"]["Taskfish"]["Tasks"] == {
        "@odata.id": f"{uri}/Oem/Taskfish/Tasks"
    }
    answer = await house.client.get(f"{uri}/Oem/Taskfish/Tasks")
    assert answer.json()["@odata.type"] == "#TaskCollection.TaskCollection"
    assert answer.json()["@odata.id"] == f"{uri}/Oem/Taskfish/Tasks"


async def test_tasks_of_a_system_are_its_own_and_of_all_below(house: House) -> None:
    shown = await gallery(house)
    uri = f"{SYSTEMS}/bmc1.1/Oem/Taskfish/Tasks"
    answer = await listed(house, uri=uri, tag=shown.tag)
    assert set(shown.names(answer)) == {"cancelled", "killed", "running"}
    answer = await listed(house, uri=uri, tag=shown.tag, state="active", _expand=".")
    (body,) = answer.json()["Members"]
    assert body["Oem"]["Taskfish"]["ResourceType"] == "Volume"
    first = await listed(house, uri=uri, tag=shown.tag, _top=1)
    assert first.json()["Members@odata.nextLink"].startswith(f"{uri}?")
    assert len(await all_pages(house, first)) == 3


@pytest.mark.parametrize(
    "path",
    [
        "Systems/nobody.1/Oem/Taskfish/Tasks",
        "UpdateService/FirmwareInventory/bmc1.BMC/Oem/Taskfish/Tasks",
        "Managers/taskfish/Oem/Taskfish/Tasks",
    ],
)
async def test_what_has_no_tasks_has_no_collection_of_them(
    house: House, path: str
) -> None:
    assert (await house.client.get(f"/redfish/v1/{path}")).status_code == 404


async def test_tasks_of_a_member_are_not_changed_there(house: House) -> None:
    answer = await house.client.post(f"{SYSTEMS}/bmc1.1/Oem/Taskfish/Tasks", json={})
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"


async def test_task_links_to_its_workflow(house: House) -> None:
    accepted = await house.reset("node1.1")
    task = await house.ended(accepted)
    assert "WorkflowUri" not in task["Oem"]["Taskfish"]
    origin = "http://127.0.0.1:8233"
    async with another_api(house, temporal_ui_origin=origin) as client:
        answer = await client.get(task["@odata.id"], auth=(USER, PASSWORD))
    run = await house.workflow(accepted).describe()
    place = f"{origin}/namespaces/default/workflows/{run.id}/{run.run_id}/history"
    assert answer.json()["Oem"]["Taskfish"]["WorkflowUri"] == place
