"""What a request may ask of its task by headers: kept, told, refused if not right."""

from typing import Any

import pytest

from api.preferences import read_preferences
from tests.api.answers import message_keys
from tests.api.test_aggregation_sources import another_bmc
from tests.house import SOURCES, TASKS, House, source_body

RESET = "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset"
FORCE = {"ResetType": "ForceRestart"}


async def attributes(house: House, task_id: str) -> dict[str, Any]:
    """Return the search attributes of a task's workflow."""
    run = await house.temporal.get_workflow_handle(task_id).describe()
    return {
        pair.key.name: pair.value
        for pair in run.typed_search_attributes.search_attributes
    }


async def test_tags_are_kept_once_each(house: House) -> None:
    accepted = await house.change(
        "POST", RESET, FORCE, **{"Task-Tags": "night, rack-7 ,,night,a:b"}
    )
    found = await attributes(house, accepted.json()["Id"])
    assert sorted(found["TaskTags"]) == ["a:b", "night", "rack-7"]
    await house.ended(accepted)


async def test_tags_of_several_headers_add_up(house: House) -> None:
    headers = [("Task-Tags", "one"), ("Task-Tags", "two,three")]
    accepted = await house.client.post(RESET, json=FORCE, headers=headers)
    found = await attributes(house, accepted.json()["Id"])
    assert sorted(found["TaskTags"]) == ["one", "three", "two"]
    await house.ended(accepted)


async def test_request_id_is_returned_and_kept(house: House) -> None:
    accepted = await house.change("POST", RESET, FORCE, **{"X-Request-Id": "req-0815"})
    found = await attributes(house, accepted.json()["Id"])
    assert accepted.headers["X-Request-Id"] == "req-0815"
    assert found["TaskRequestId"] == "req-0815"
    await house.ended(accepted)


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129, "ü"])
async def test_request_id_is_made_if_there_is_no_good_one(
    house: House, given: str | None
) -> None:
    headers = {b"X-Request-Id": given.encode("latin-1")} if given is not None else {}
    accepted = await house.client.post(RESET, json=FORCE, headers=headers)
    made = accepted.headers["X-Request-Id"]
    found = await attributes(house, accepted.json()["Id"])
    assert len(made) == 32
    assert found["TaskRequestId"] == made
    await house.ended(accepted)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/redfish/v1"),
        ("GET", "/redfish/v1/Systems/bmc1.1"),
        ("GET", "/redfish/v1/Nothing"),
        ("GET", "/redfish/v1/%2e%2e"),
        ("PATCH", "/redfish/v1/Systems"),
    ],
)
async def test_every_answer_has_a_request_id(
    house: House, method: str, path: str
) -> None:
    mine = await house.client.request(method, path, headers={"X-Request-Id": "mine"})
    made = await house.client.request(method, path)
    assert mine.headers["X-Request-Id"] == "mine"
    assert len(made.headers["X-Request-Id"]) == 32


async def test_refused_login_has_a_request_id(house: House) -> None:
    answer = await house.client.get("/redfish/v1/Systems", auth=("nobody", "wrong"))
    assert answer.status_code == 401
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Task-Id", ""),
        ("Task-Id", "-first"),
        ("Task-Id", "a b"),
        ("Task-Id", "a/b"),
        ("Task-Id", "a~b"),
        ("Task-Id", "watch:bmc1"),
        ("Task-Id", "a" * 129),
        ("Task-Id", "ä"),
        ("Task-Tags", ",".join(f"t{n}" for n in range(17))),
        ("Task-Tags", "t" * 65),
        ("Task-Tags", "two words"),
        ("Task-Tags", "ä"),
        ("Task-Timeout", ""),
        ("Task-Timeout", "0"),
        ("Task-Timeout", "-1"),
        ("Task-Timeout", "1.5"),
        ("Task-Timeout", "31536001"),
        ("Task-Timeout", "9" * 40),
        ("Task-Timeout", "²"),
        ("Task-Timeout", "PT5M"),
        ("Task-Conflict", ""),
        ("Task-Conflict", "wait"),
        ("Task-Conflict", "allow, reject"),
        ("Idempotency-Key", ""),
        ("Idempotency-Key", "two words"),
        ("Idempotency-Key", "k" * 256),
        ("Idempotency-Key", "ä"),
    ],
)
async def test_invalid_header_is_refused_by_name(
    house: House, name: str, value: str
) -> None:
    headers = {name.encode(): value.encode("latin-1")}
    answer = await house.client.post(RESET, json=FORCE, headers=headers)
    info = answer.json()["error"]["@Message.ExtendedInfo"][0]
    assert answer.status_code == 400
    assert message_keys(answer) == ["HeaderInvalid"]
    assert info["MessageArgs"] == [name]
    assert info["Resolution"].startswith("Send ")
    assert house.executions("bmc1") == 0


@pytest.mark.parametrize(
    "name", ["Task-Id", "Task-Timeout", "Task-Conflict", "Idempotency-Key"]
)
async def test_header_that_is_there_twice_is_refused(house: House, name: str) -> None:
    value = {"Task-Timeout": "5", "Task-Conflict": "allow"}.get(name, "x")
    headers = [(name, value), (name, value)]
    answer = await house.client.post(RESET, json=FORCE, headers=headers)
    assert answer.status_code == 400
    assert message_keys(answer) == ["HeaderInvalid"]


async def test_limits_themselves_are_accepted(house: House) -> None:
    tags = ",".join(f"{n:02}".ljust(64, "t") for n in range(16))
    headers = {
        "Task-Id": "Limits-" + "x" * 121,
        "Task-Tags": tags,
        "Task-Timeout": "31536000",
        "Idempotency-Key": f"limits-{house.settings.task_queue}".ljust(255, "k"),
        "X-Request-Id": "r" * 128,
    }
    accepted = await house.change("POST", RESET, FORCE, **headers)
    assert accepted.headers["Task-Id"] == headers["Task-Id"]
    assert len((await attributes(house, headers["Task-Id"]))["TaskTags"]) == 16
    await house.ended(accepted)


async def test_every_accepted_change_names_its_task(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    assert accepted.headers["Task-Id"] == accepted.json()["Id"]
    await house.ended(accepted)


async def test_timeout_ends_a_task_that_hangs(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await house.change("POST", RESET, FORCE, **{"Task-Timeout": "1"})
    task = await house.ended(accepted)
    final = await house.final(accepted)
    assert task["TaskState"] == "Exception"
    assert (final.status_code, message_keys(final)) == (500, ["OperationTimeout"])


async def test_added_source_takes_the_headers_of_its_task(house: House) -> None:
    async with another_bmc() as url:
        body = source_body("rack9", url, "Redfish", "password")
        headers = {
            "Task-Id": "Add-rack9",
            "Task-Tags": "new",
            "X-Request-Id": "add-1",
            "Prefer": "wait=20",
        }
        answer = await house.client.post(SOURCES, json=body, headers=headers)
    found = await attributes(house, "Add-rack9")
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{SOURCES}/rack9"
    assert answer.headers["Task-Id"] == "Add-rack9"
    assert f'<{TASKS}/Add-rack9>; rel="task"' in answer.headers["Link"]
    assert (found["TaskTags"], found["TaskRequestId"]) == (["new"], "add-1")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["wait=5"], {"wait": "5"}),
        (["WAIT = 5"], {"wait": "5"}),
        (['wait="5"'], {"wait": "5"}),
        (["respond-async, wait=5"], {"respond-async": "", "wait": "5"}),
        (["respond-async", "wait=5"], {"respond-async": "", "wait": "5"}),
        (["wait=5, wait=9"], {"wait": "5"}),
        (["wait=5; strict; a=b"], {"wait": "5"}),
        (['wait=5; a="x;y,z" ;; b = ;'], {"wait": "5"}),
        (["wait=5; a b, wait=9"], {"wait": "9"}),
        (['wait=5; "a"=b', ";wait=5", 'wait="5'], {}),
        (['x="\\\\", wait=5'], {"x": "\\", "wait": "5"}),
        (['x="a, wait=9", wait=5'], {"x": "a, wait=9", "wait": "5"}),
        (['x="\\"", wait=5'], {"x": '"', "wait": "5"}),
        (["wait=5 6"], {}),
        (["=5, ,;, wait=5"], {"wait": "5"}),
        (["", ","], {}),
        (['"' * 1001], {}),
    ],
)
def test_preferences_are_read_as_rfc_7240_says(
    headers: list[str], expected: dict[str, str]
) -> None:
    assert read_preferences(headers) == expected
