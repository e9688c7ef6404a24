"""/southbound/events/{source}: what sources send of their tasks, and who may."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.source_tokens import SOURCES_OF_A_NETWORK, SourceTokens
from taskfish.errors import RequestRefusedError
from taskfish.redfish.event_receiver import RECEIVER, TOKEN_HEADER
from taskfish.settings import Settings
from taskfish.store.source_subscriptions import SourceSubscriptions
from taskfish.store.tables import task_news
from taskfish.store.task_news import MOST_OF_A_SOURCE, TaskNews
from tests.api.answers import message_keys
from tests.house import House

TOKEN = "a-token-of-256-bits"
RECORD: dict[str, Any] = {
    "EventType": "StatusChange",
    "MessageId": "TaskEvent.1.0.TaskCompletedOK",
    "MessageArgs": ["7"],
}


@pytest.fixture
async def known(house: House) -> AsyncIterator[House]:
    """Give a house that knows the token of bmc1, and no news."""
    subscriptions = SourceSubscriptions(house.store)
    await subscriptions.begin("bmc1", SecretStr(TOKEN))
    yield house
    await subscriptions.forget("bmc1")
    async with house.store.write() as connection:
        await connection.execute(task_news.delete())


def event(*records: Any, **more: Any) -> dict[str, Any]:
    return {"@odata.type": "#Event.v1_7_0.Event", "Events": list(records), **more}


async def send(
    house: House,
    payload: Any,
    source: str = "bmc1",
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """Send as a BMC does: without a login, with the token."""
    transport = house.client._transport
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    given = {TOKEN_HEADER: TOKEN} if headers is None else headers
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.post(f"{RECEIVER}/{source}", content=content, headers=given)


async def names(house: House) -> list[tuple[str, str]]:
    """Return the news there are: source and name."""
    rows = await TaskNews(house.store).after(0, 10 * MOST_OF_A_SOURCE)
    return [(row.source, row.name) for row in rows]


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (RECORD, "7"),
        ({**RECORD, "MessageId": "TaskEvent.1.0.3.TaskAborted"}, "7"),
        ({**RECORD, "MessageArgs": ["t1", "{}", "200"]}, "t1"),
        ({**RECORD, "MessageArgs": ["/redfish/v1/TaskService/Tasks/7"]}, "7"),
        ({**RECORD, "MessageArgs": ["https://bmc/taskmon/t1"]}, "t1"),
        ({**RECORD, "MessageArgs": [7]}, "7"),
        (
            {"OriginOfCondition": {"@odata.id": "/redfish/v1/TaskService/Tasks/7"}},
            "7",
        ),
        ({"OriginOfCondition": "/redfish/v1/TaskService/TaskMonitors/7/"}, "7"),
        (
            {
                "EventType": "ResourceUpdated",
                "MessageId": "ResourceEvent.1.4.ResourceChanged",
                "OriginOfCondition": {"@odata.id": "/redfish/v1/TaskService/Tasks/7"},
            },
            "7",
        ),
    ],
)
async def test_event_names_its_task(
    known: House, record: dict[str, Any], name: str
) -> None:
    answer = await send(known, event(record))
    assert (answer.status_code, answer.content) == (204, b"")
    assert await names(known) == [("bmc1", name)]


@pytest.mark.parametrize(
    "record",
    [
        {"MessageId": "Base.1.8.Success", "MessageArgs": ["7"]},
        {"MessageId": "TaskEvent.1.0.TaskStarted"},
        {"MessageId": "TaskEvent.1.0.TaskStarted", "MessageArgs": []},
        {"MessageId": "TaskEvent.1.0.TaskStarted", "MessageArgs": None},
        {"MessageId": "TaskEvent.1.0.TaskStarted", "MessageArgs": "7"},
        {"MessageId": "TaskEvent.1.0.TaskStarted", "MessageArgs": [""]},
        {"MessageId": "TaskEvent.1.0.TaskStarted", "MessageArgs": ["x" * 300]},
        {"MessageId": "TaskEvent.1.0.TaskStarted", "MessageArgs": ["\0"]},
        {"MessageId": "TaskEvent.1.0.TaskStarted", "MessageArgs": ["a\nb"]},
        {"OriginOfCondition": "/redfish/v1/TaskService/Tasks/\u202e7"},
        {"OriginOfCondition": {"@odata.id": "/redfish/v1/Systems/1"}},
        "nonsense",
        None,
    ],
)
async def test_record_that_names_no_task_is_accepted(known: House, record: Any) -> None:
    assert (await send(known, event(record))).status_code == 204
    assert await names(known) == []


async def test_odims_envelope_is_opened(known: House) -> None:
    inside = json.dumps(event({**RECORD, "MessageArgs": ["t1"]})).encode()
    request = base64.b64encode(inside).decode()
    envelope = {"ip": "10.24.0.4", "request": request, "eventType": ""}
    assert (await send(known, envelope)).status_code == 204
    assert await names(known) == [("bmc1", "t1")]


@pytest.mark.parametrize(
    "headers",
    [{"X-Taskfish-Token": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}],
)
async def test_token_is_taken_from_a_header(
    known: House, headers: dict[str, str]
) -> None:
    assert (await send(known, event(RECORD), headers=headers)).status_code == 204


async def test_token_is_taken_from_the_context(known: House) -> None:
    payload = event(RECORD, Context=TOKEN)
    assert (await send(known, payload, headers={})).status_code == 204
    assert await names(known) == [("bmc1", "7")]


async def test_unknown_sources_and_wrong_tokens_are_told_the_same(
    known: House,
) -> None:
    wrong = {TOKEN_HEADER: "wrong"}
    answers = [
        await send(known, event(RECORD), headers=wrong),
        await send(known, event(RECORD), "node1"),
        await send(known, event(RECORD), "nobody"),
        await send(known, event(RECORD), "No.Source"),
        await send(known, event(RECORD), headers={}),
        await send(known, event(RECORD, Context="wrong"), headers={}),
        await send(known, b"{", headers=wrong),
        await send(known, b"{", headers={}),
        await send(known, b'{"Context": "\\ud800"}', headers={}),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    assert await names(known) == []


async def test_header_goes_before_the_context(known: House) -> None:
    wrong = {TOKEN_HEADER: "wrong"}
    answer = await send(known, event(RECORD, Context=TOKEN), headers=wrong)
    assert answer.status_code == 401


async def test_login_is_no_token(known: House) -> None:
    answer = await known.client.post(f"{RECEIVER}/bmc1", json=event(RECORD))
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"Events": {}}',
        b'{"request": "!"}',
        b'{"request": "e30="}',
        b"[" * 100_000,
        b"\xff",
        b'{"Events": [], "Context": "\\ud800"}',
        b'{"Events": [{"MessageId": "TaskEvent.1.0.X", "MessageArgs": ["\\ud800"]}]}',
    ],
)
async def test_what_is_no_event_is_400(known: House, content: bytes) -> None:
    answer = await send(known, content)
    assert answer.status_code == 400
    assert message_keys(answer)[0] in ("MalformedJSON", "UnrecognizedRequestBody")


async def test_body_may_have_a_mebibyte(known: House) -> None:
    def padded(size: int) -> bytes:
        bare = json.dumps(event(RECORD, Padding="")).encode()
        return json.dumps(event(RECORD, Padding="x" * (size - len(bare)))).encode()

    assert (await send(known, padded(1 << 20))).status_code == 204
    assert (await send(known, padded((1 << 20) + 1))).status_code == 413


async def test_nothing_is_read_for_a_wrong_token_in_a_header(known: House) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    answer = await send(known, b"x" * ((1 << 20) + 1), headers=wrong)
    assert answer.status_code == 401


async def test_same_task_has_one_row(known: House) -> None:
    for _ in range(3):
        await send(known, event(RECORD, RECORD))
    assert await names(known) == [("bmc1", "7")]


async def test_made_up_names_have_an_end(known: House) -> None:
    news = TaskNews(known.store)
    for number in range(MOST_OF_A_SOURCE // 200 + 2):
        await news.tell("bmc1", [f"{number}-{each}" for each in range(200)])
    found = await names(known)
    assert len(found) == MOST_OF_A_SOURCE
    assert found[-1] == ("bmc1", f"{MOST_OF_A_SOURCE // 200 + 1}-199")


async def test_more_names_than_a_statement_takes_are_told_of(known: House) -> None:
    made_up = [str(number) for number in range(40_000)]
    assert await TaskNews(known.store).tell("bmc1", made_up)
    assert await names(known) == [
        ("bmc1", name) for name in made_up[-MOST_OF_A_SOURCE:]
    ]


async def test_source_that_is_gone_has_no_news(known: House) -> None:
    assert not await TaskNews(known.store).tell("nobody", ["7"])
    assert await names(known) == []


async def test_wrong_tokens_do_not_fill_the_audit_log(known: House) -> None:
    audit = "/redfish/v1/Managers/taskfish/LogServices/Audit/Entries"
    wrong = {"Authorization": "Bearer wrong"}
    await send(known, event(RECORD), headers=wrong)
    assert RECEIVER not in (await known.client.get(audit)).text


async def test_wrong_tokens_hold_up_who_sends_them_for_that_source(
    known: House,
) -> None:
    settings = Settings(login_rate="2/minute")
    tokens = SourceTokens(SourceSubscriptions(known.store), settings)
    for _ in range(2):
        tokens.check_rate("bmc1", "192.0.2.1")
        with pytest.raises(RequestRefusedError):
            await tokens.check("bmc1", "wrong", "192.0.2.1")
    with pytest.raises(RequestRefusedError) as refused:
        tokens.check_rate("bmc1", "192.0.2.1")
    assert refused.value.status == 429
    tokens.check_rate("bmc1", "192.0.2.2")
    tokens.check_rate("node1", "192.0.2.1")


async def test_wrong_tokens_for_ever_new_sources_hold_up_their_address(
    known: House,
) -> None:
    settings = Settings(login_rate="2/minute")
    tokens = SourceTokens(SourceSubscriptions(known.store), settings)
    for number in range(2 * SOURCES_OF_A_NETWORK):
        tokens.check_rate(f"bmc{number}", "192.0.2.1")
        with pytest.raises(RequestRefusedError):
            await tokens.check(f"bmc{number}", "wrong", "192.0.2.1")
    with pytest.raises(RequestRefusedError) as refused:
        tokens.check_rate("bmc1000", "192.0.2.1")
    assert refused.value.status == 429
    tokens.check_rate("bmc1000", "192.0.2.2")
