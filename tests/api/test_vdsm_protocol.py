"""JSON-RPC 2.0 at VDSM's door: batches, notifications, faults, and HTTP around them."""

import json
from typing import Any

import httpx
import pytest

from tests.api.answers import message_keys
from tests.api.vdsm import VDSM, a_call, a_change, code, post, task_of
from tests.house import House

JSON = {"Content-Type": "application/json"}
LIST = "Host.getAllTasksInfo"


def reads(call_id: Any = 1) -> dict[str, Any]:
    return a_call("Task.getInfo", call_id, taskID="nobody-1")


async def send(house: House, content: bytes, **headers: str) -> httpx.Response:
    return await house.client.post(VDSM, content=content, headers={**JSON, **headers})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"{",
        b'{"jsonrpc": "2.0", "method": "Host.getAllTasks", "id": 1,}',
        b"\xff",
        b'{"id": 1, "id": 2}',
        b'{"id": NaN}',
        b'{"id": "\\ud800"}',
        b"[" * 100_000,
    ],
)
async def test_malformed_json_is_a_parse_error(
    shared_house: House, text: bytes
) -> None:
    answer = await send(shared_house, text)
    assert answer.status_code == 200
    assert answer.json() == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32700, "message": "Parse error"},
    }


@pytest.mark.parametrize(
    "body",
    [
        1,
        "a",
        [],
        {},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "1.0", "method": LIST, "id": 1},
        {"jsonrpc": 2.0, "method": LIST, "id": 1},
        {"method": LIST, "id": 1},
        {"jsonrpc": "2.0", "method": 1, "id": 1},
        {"jsonrpc": "2.0", "method": LIST, "params": "x", "id": 1},
        {"jsonrpc": "2.0", "method": LIST, "params": None, "id": 1},
        {"jsonrpc": "2.0", "method": LIST, "id": [1]},
        {"jsonrpc": "2.0", "method": LIST, "id": 1.5},
        {"jsonrpc": "2.0", "method": LIST, "id": True},
    ],
)
async def test_what_is_no_call_is_an_invalid_request(
    shared_house: House, body: Any
) -> None:
    answer = await post(shared_house, body)
    assert answer["error"]["code"] == -32600
    assert answer["id"] is None


async def test_deep_nesting_is_an_invalid_request(shared_house: House) -> None:
    deep: Any = []
    for _ in range(70):
        deep = [deep]
    assert await code(shared_house, {**reads(), "params": deep}) == -32600


async def test_batch_is_answered_call_by_call(shared_house: House) -> None:
    notification = reads()
    del notification["id"]
    batch = [
        reads("a"),
        7,
        notification,
        a_call("Host.x", 2),
        a_call(LIST, 3),
        reads(3),
    ]
    answers = await post(shared_house, batch)
    assert [each["id"] for each in answers] == ["a", None, 2, 3, 3]
    codes = [each.get("error", {}).get("code") for each in answers]
    assert codes == [401, -32600, -32601, None, 401]
    assert all(each["jsonrpc"] == "2.0" for each in answers)


async def test_batch_of_one_is_answered_as_a_batch(shared_house: House) -> None:
    (answer,) = await post(shared_house, [reads()])
    assert answer["id"] == 1


async def test_notifications_get_no_answer(shared_house: House) -> None:
    notification = reads()
    del notification["id"]
    unknown = {"jsonrpc": "2.0", "method": "Host.nothing"}
    for body in (notification, unknown, [notification, unknown]):
        answer = await shared_house.client.post(VDSM, json=body)
        assert (answer.status_code, answer.content) == (204, b"")


async def test_null_id_is_answered(shared_house: House) -> None:
    answer = await post(shared_house, reads(None))
    assert answer["id"] is None
    assert answer["error"]["code"] == 401


async def test_batch_has_a_limit(shared_house: House) -> None:
    assert len(await post(shared_house, [reads()] * 100)) == 100
    assert await code(shared_house, [reads()] * 101) == -32600


async def test_lists_of_a_batch_have_a_limit(shared_house: House) -> None:
    assert len(await post(shared_house, [a_call(LIST)] * 5 + [reads()])) == 6
    assert await code(shared_house, [a_call(LIST)] * 6) == -32600


@pytest.mark.parametrize(
    "params", [["a", {}, "more"], {"other": 1}, {"spUUID": "a", "x": 1}]
)
async def test_parameters_that_a_verb_has_not_are_refused(
    shared_house: House, params: Any
) -> None:
    assert await code(shared_house, {**a_call(LIST), "params": params}) == -32602


async def test_parameters_are_not_repeated_in_errors(shared_house: House) -> None:
    body = {"Password": "hush-hush"}
    answer = await post(shared_house, a_change("a", timeout="hush-hush", body=[body]))
    assert answer["error"]["code"] == -32602
    assert "hush" not in str(answer)


async def test_long_body_is_413(shared_house: House) -> None:
    limit = shared_house.settings.max_body_bytes
    answer = await send(shared_house, b" " * (limit + 1))
    assert answer.status_code == 413
    assert message_keys(answer) == ["PayloadTooLarge"]


async def test_body_up_to_the_limit_is_read(shared_house: House) -> None:
    text = json.dumps(reads()).encode()
    padded = text + b" " * (shared_house.settings.max_body_bytes - len(text))
    assert (await send(shared_house, padded)).json()["error"]["code"] == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Encoding": "gzip"},
    ],
)
async def test_other_media_types_are_415(
    shared_house: House, headers: dict[str, str]
) -> None:
    answer = await send(shared_house, json.dumps(reads()).encode(), **headers)
    assert answer.status_code == 415
    assert message_keys(answer) == ["HeaderInvalid"]


async def test_page_of_another_origin_changes_nothing(house: House) -> None:
    foreign = {"Origin": "http://elsewhere.example"}
    refused = await house.client.post(VDSM, json=a_change("csrf-1"), headers=foreign)
    assert refused.status_code == 403
    assert house.emulator.executions() == []
    own = {"Origin": "http://gateway"}
    record = (await post(house, a_change("csrf-2"), headers=own))["result"]
    await house.ended(task_of(house, record))


async def test_door_needs_a_login(shared_house: House) -> None:
    request = shared_house.client.build_request("POST", VDSM, json=reads())
    missing = await shared_house.client.send(request, auth=None)
    assert missing.status_code == 401
    wrong = await shared_house.client.post(
        VDSM, json=reads(), auth=("admin", "no-no-no")
    )
    assert wrong.status_code == 401
