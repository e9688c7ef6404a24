"""VDSM's task verbs: the same tasks, in the words of its callers."""

import itertools
import uuid
from typing import Any

import pytest
from pydantic import JsonValue

from api.vdsm import host
from api.vdsm.records import STAGES
from taskfish.redfish.task import TaskState
from tests.api.governing import act, until_followed
from tests.api.task_lists import gallery, until_visible
from tests.api.vdsm import a_call, a_change, code, error, post, result, task_of
from tests.house import TASKS, House

ORDER = {"ResetType": "ForceRestart"}
_numbers = itertools.count(1)
INNER = {
    *("preparing", "blocked", "acquiring", "queued", "running", "finished"),
    *("aborting", "waitrecover", "recovering", "racquiring", "raborting"),
    *("recovered", "failed", "init", "unknown"),
}


def new_id() -> str:
    return f"vdsm-{uuid.uuid4().hex[:8]}-{next(_numbers)}"


async def started(house: House, **params: Any) -> dict[str, Any]:
    """Start a reset that goes on, tagged spm if nothing else is said."""
    house.emulator.set_modes("node1", hang=True, abort_seconds=0)
    params = {"tags": "spm", "body": ORDER, **params}
    answer = await post(house, a_change(new_id(), **params))
    record: dict[str, Any] = answer["result"]
    return record


async def ended(house: House, **params: Any) -> dict[str, Any]:
    """Start a reset and return the record of its start when it has ended."""
    params = {"tags": "spm", "body": ORDER, **params}
    answer = await post(house, a_change(new_id(), **params))
    record: dict[str, Any] = answer["result"]
    await house.ended(task_of(house, record))
    return record


def test_every_state_has_its_words() -> None:
    assert set(STAGES) == set(TaskState)
    for state, stage in STAGES.items():
        assert stage.state in INNER
        assert (stage.public == "finished") is state.ended
        assert (stage.result != "") is state.ended
        assert (stage.job in ("done", "aborted", "failed")) is state.ended
        assert (stage.code == 0) is (stage.result in ("", "success"))


async def test_all_tasks_are_told_with_all_that_is_known(house: House) -> None:
    shown = await gallery(house)
    await until_visible(house, shown)
    found = await result(house, "Host.getAllTasks")
    assert shown.ids() <= set(found)
    by_name = {
        name: found[shown.accepted[name].json()["Id"]] for name in shown.accepted
    }
    for record in by_name.values():
        keys = ["id", "verb", "state", "code", "message", "result", "tag"]
        assert list(record) == keys
        assert record["message"]
    told = {name: (each["state"], each["code"]) for name, each in by_name.items()}
    assert told == {
        "done": ("finished", 0),
        "failed": ("failed", 100),
        "cancelled": ("recovered", 411),
        "killed": ("failed", 411),
        "running": ("running", 0),
        "paused": ("blocked", 0),
    }
    results = {name: each["result"] for name, each in by_name.items()}
    assert results == {
        "done": "success",
        "failed": "cleanFailure",
        "cancelled": "cleanSuccess",
        "killed": "cleanFailure",
        "running": "",
        "paused": "",
    }
    assert by_name["done"]["verb"] == "ComputerSystem.Reset"
    assert by_name["running"]["verb"] == "Volume.Create"
    assert by_name["done"]["tag"] == f"{shown.tag},night"
    assert {each["id"] for each in by_name.values()} == shown.ids()


async def test_tasks_are_found_by_a_tag_or_one_of_several(house: House) -> None:
    one, other, both = new_id(), new_id(), new_id()
    first = await ended(house, tags=[one, both])
    second = await ended(house, tags=[other, both])

    async def found(tag: JsonValue) -> set[str]:
        return set(await result(house, "Host.getAllTasks", tag=tag))

    assert await found(one) == {first["id"]}
    assert await found([other]) == {second["id"]}
    assert await found([one, other]) == {first["id"], second["id"]}
    assert await found([both, "nobody's"]) == {first["id"], second["id"]}
    assert await found("nobody's") == set()
    assert await found(one[:-1]) == set()
    nothing: tuple[JsonValue, ...] = (None, "", [])
    for each in nothing:
        assert {first["id"], second["id"]} <= await found(each)


@pytest.mark.parametrize(
    "tag", [7, True, {"a": "b"}, [None], ["a", 1], "a b", "a\n", "x" * 256, ["a"] * 101]
)
async def test_what_is_no_tag_is_refused(shared_house: House, tag: JsonValue) -> None:
    assert (await error(shared_house, "Host.getAllTasks", tag=tag))["code"] == -32602


async def test_no_task_is_lost_between_pages(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = new_id()
    wanted = {(await ended(house, tags=tag))["id"] for _ in range(5)}
    monkeypatch.setattr(host, "PAGE", 2)
    assert set(await result(house, "Host.getAllTasks", tag=tag)) == wanted


async def test_tasks_that_no_call_has_started_are_among_them(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    found = await result(house, "Host.getAllTasks")
    assert found[accepted.json()["Id"]]["tag"] == ""


async def test_callers_of_old_know_of_the_tag_spm_only(house: House) -> None:
    mine, other = await ended(house), await ended(house, tags=["spms", "hsm"])
    infos = await result(house, "Host.getAllTasksInfo")
    assert infos[mine["id"]] == {"id": mine["id"], "verb": "ComputerSystem.Reset"}
    statuses = await result(house, "Host.getAllTasksStatuses")
    message = statuses[mine["id"]].pop("message")
    assert "completed" in message
    assert statuses[mine["id"]] == {
        "taskID": mine["id"],
        "taskState": "finished",
        "taskResult": "success",
        "code": 0,
    }
    assert other["id"] not in {*infos, *statuses}


async def test_what_callers_of_old_send_is_ignored(house: House) -> None:
    mine = await ended(house)
    for verb in ("Host.getAllTasksInfo", "Host.getAllTasksStatuses"):
        named = await result(house, verb, spUUID="any", options={"a": [1]})
        assert mine["id"] in named
        by_place = {**a_call(verb), "params": ["any", {}]}
        assert mine["id"] in (await post(house, by_place))["result"]
        without = a_call(verb)
        del without["params"]
        assert mine["id"] in (await post(house, without))["result"]


async def test_one_task_is_told(house: House) -> None:
    record = await started(house)
    running = task_of(house, record)
    await house.until(running, "Running")
    task_id = record["id"]
    found = await result(house, "Task.getInfo", taskID=task_id)
    assert found == {"id": task_id, "verb": "ComputerSystem.Reset"}
    status = await result(house, "Task.getStatus", taskID=task_id, options=None)
    assert status.pop("message")
    assert status == {
        "taskID": task_id,
        "taskState": "running",
        "taskResult": "",
        "code": 0,
    }
    by_place = {**a_call("Task.getInfo"), "params": [task_id]}
    assert (await post(house, by_place))["result"] == found


@pytest.mark.parametrize("verb", ["getInfo", "getStatus", "stop", "clear", "revert"])
@pytest.mark.parametrize(
    "task_id", ["nobody-1", "", "a/b", "removal:all", "\u0000", "ä", "x" * 5000]
)
async def test_unknown_task_is_401(
    shared_house: House, verb: str, task_id: str
) -> None:
    found = await error(shared_house, f"Task.{verb}", taskID=task_id)
    assert found["code"] == 401
    assert found["message"].startswith("Task id unknown")


@pytest.mark.parametrize("verb", ["getInfo", "getStatus", "stop", "clear", "revert"])
@pytest.mark.parametrize(
    "params", [{}, {"taskID": 7}, {"taskID": None}, {"taskId": "a"}, {"id": "a"}]
)
async def test_task_has_to_be_named(
    shared_house: House, verb: str, params: dict[str, Any]
) -> None:
    found = await error(shared_house, f"Task.{verb}", **params)
    assert found["code"] == -32602
    assert "taskI" in found["message"]


async def test_stop_cancels(house: House) -> None:
    record = await started(house)
    running = task_of(house, record)
    await house.until(running, "Running")
    assert await result(house, "Task.stop", taskID=record["id"]) is None
    assert (await house.ended(running))["TaskState"] == "Cancelled"
    assert house.emulator.executions("node1")[-1].outcome == "cancelled"
    status = await result(house, "Task.getStatus", taskID=record["id"])
    assert (status["taskState"], status["taskResult"]) == ("finished", "cleanSuccess")
    assert status["code"] == 411


async def test_stop_shows_in_the_next_list(house: House) -> None:
    record = await started(house)
    await house.until(task_of(house, record), "Running")
    batch = [
        a_call("Task.stop", 1, taskID=record["id"]),
        a_call("Host.getAllTasks", 2, tag="spm"),
    ]
    _, listed = await post(house, batch)
    assert listed["result"][record["id"]]["state"] in ("aborting", "recovered")


async def test_stop_leaves_what_has_ended(house: House) -> None:
    record = await ended(house)
    assert await result(house, "Task.stop", taskID=record["id"]) is None
    status = await result(house, "Task.getStatus", taskID=record["id"])
    assert status["taskResult"] == "success"


async def test_stop_says_that_a_source_cannot_abort(house: House) -> None:
    house.emulator.set_modes("node1", seconds=2, abort="unsupported")
    record = (await post(house, a_change(new_id(), body=ORDER)))["result"]
    running = task_of(house, record)
    await until_followed(house, running, abortable=False)
    found = await error(house, "Task.stop", taskID=record["id"])
    assert found["code"] == 410
    assert "cannot abort" in found["message"]
    assert found["data"]["status"] == 405


async def test_clear_removes_what_has_ended(house: House) -> None:
    record = await ended(house)
    assert await result(house, "Task.clear", taskID=record["id"]) is None
    gone = await error(house, "Task.clear", taskID=record["id"])
    assert gone["code"] == 401
    found = await house.client.get(f"{TASKS}/{record['id']}")
    assert found.status_code == 404
    assert record["id"] not in await result(house, "Host.getAllTasks", tag="spm")


async def test_clear_leaves_what_runs(house: House) -> None:
    record = await started(house)
    running = task_of(house, record)
    await house.until(running, "Running")
    assert (await error(house, "Task.clear", taskID=record["id"]))["code"] == 410
    assert (await house.task(running))["TaskState"] == "Running"


async def test_revert_is_refused(house: House) -> None:
    record = await started(house)
    running = task_of(house, record)
    await house.until(running, "Running")
    assert (await error(house, "Task.revert", taskID=record["id"]))["code"] == 403
    await act(house, running, "Kill")
    await house.ended(running)
    found = await error(house, "Task.revert", taskID=record["id"])
    assert found["code"] == 410
    assert "composite operation" in found["message"]


async def test_tasks_are_jobs(house: House) -> None:
    shown = await gallery(house)
    ids = list(shown.ids())
    jobs = await result(house, "Host.getJobs", job_ids=[*ids, "nobody-1"])
    assert set(jobs) == set(ids)
    by_name = {name: jobs[shown.accepted[name].json()["Id"]] for name in shown.accepted}
    assert {name: each["status"] for name, each in by_name.items()} == {
        "done": "done",
        "failed": "failed",
        "cancelled": "aborted",
        "killed": "aborted",
        "running": "running",
        "paused": "running",
    }
    done = by_name["done"]
    assert done == {
        "id": done["id"],
        "status": "done",
        "description": "ComputerSystem.Reset node1.1",
        "job_type": "ComputerSystem.Reset",
        "progress": 100,
    }
    assert by_name["failed"]["error"]["code"] == 100
    assert by_name["failed"]["error"]["message"]
    await until_visible(house, shown)
    volumes = await result(house, "Host.getJobs", job_type="Volume.Create", job_ids=ids)
    assert set(volumes) == shown.ids("running")
    every = await result(house, "Host.getJobs", job_type=None, job_ids=[])
    assert set(ids) <= set(every)
    assert await result(house, "Host.getJobs", job_type="copy_data") == {}


@pytest.mark.parametrize(
    "params", [{"job_type": 1}, {"job_ids": "a"}, {"job_ids": [1]}, {"job_id": "a"}]
)
async def test_jobs_are_found_by_type_and_ids_only(
    shared_house: House, params: dict[str, Any]
) -> None:
    assert (await error(shared_house, "Host.getJobs", **params))["code"] == -32602


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_door_takes_post_only(shared_house: House, method: str) -> None:
    answer = await shared_house.client.request(method, "/vdsm/jsonrpc")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"


async def test_unknown_verb_is_told_so(shared_house: House) -> None:
    for verb in (
        "Host.getTasks",
        "host.getAllTasks",
        "getAllTasks",
        "",
        "rpc.discover",
    ):
        assert await code(shared_house, a_call(verb)) == -32601
