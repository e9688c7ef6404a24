"""Streams of events: read by real clients, from the server of `taskfish api`."""

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from taskfish.redfish.events import Event, resource_created
from taskfish.redfish.messages import task_message
from taskfish.redfish.task_events import TaskSubject
from taskfish.store.event_log import EventLog
from taskfish.store.subscriptions import Subscriptions
from tests.api.accounts import ACCOUNTS, account
from tests.api.answers import members, message_keys
from tests.api.events import (
    SERVICE,
    SOON,
    STREAM,
    SUBMIT,
    SUBSCRIPTIONS,
    TEST,
    Reader,
    append,
    forget_subscriptions,
    newest,
    reading,
)
from tests.api.sessions import log_in, token_of
from tests.house import PASSWORD, TASKS, USER, House
from tests.serving import Api, api
from tests.workflows.houses import until

SYSTEM = "/redfish/v1/Systems/node1.1"
OTHER = "/redfish/v1/Systems/node2.1"
LOGIN = (USER, PASSWORD)


@pytest.fixture
async def house(house: House) -> AsyncIterator[House]:
    """Give the gateway without streams, before and after."""
    await forget_subscriptions(house)
    yield house
    await forget_subscriptions(house)


@pytest.fixture(scope="module")
async def served(shared_house: House) -> AsyncIterator[Api]:
    """Give an API whose streams give a sign of life often."""
    async with api(shared_house, stream_keepalive=0.3) as found:
        yield found


def volume(number: int, **more: Any) -> Event:
    """Return the event of a volume that was made."""
    return resource_created(f"{SYSTEM}/Storage/1/Volumes/{number}", **more)


def task(name: str, key: str = "TaskStarted", owner: str = USER) -> Event:
    """Return an event of a task that resets a system."""
    subject = TaskSubject(
        task_id=name,
        run_id=uuid.uuid4().hex,
        owner=owner,
        method="POST",
        uri=f"{SYSTEM}/Actions/ComputerSystem.Reset",
    )
    return subject.changed(key, task_message(key, name), datetime.now(UTC))


async def asked(url: str, **options: Any) -> httpx.Response:
    """Ask for a stream that is refused."""
    options.setdefault("auth", LOGIN)
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        return await client.get(STREAM, **options)


async def streams(house: House) -> list[str]:
    """Return the URIs of the EventDestinations of open streams."""
    return members(await house.client.get(SUBSCRIPTIONS))


async def test_events_come_as_they_happen(house: House, served: Api) -> None:
    async with reading(served.url) as reader:
        assert reader.answer.headers["Content-Type"].startswith("text/event-stream")
        assert reader.answer.headers["OData-Version"] == "4.0"
        for number in range(3):
            await append(house, volume(number))
            record = await reader.event()
            assert record["MessageId"] == "ResourceEvent.1.4.ResourceCreated"
            assert record["EventId"] == str(await newest(house))
            uri = f"{SYSTEM}/Storage/1/Volumes/{number}"
            assert record["OriginOfCondition"] == {"@odata.id": uri}


async def test_what_was_before_does_not_come(house: House, served: Api) -> None:
    await append(house, volume(1))
    async with reading(served.url) as reader:
        await append(house, volume(2))
        assert "Volumes/2" in str(await reader.event())


async def test_quiet_stream_gives_signs_of_life(served: Api) -> None:
    async with reading(served.url) as reader:
        for _ in range(3):
            assert (await reader.next(2)).comment == "alive"


async def test_tests_come_on_streams(house: House, served: Api) -> None:
    async with reading(served.url) as reader:
        await house.client.post(TEST)
        assert await reader.key() == "TestMessage"
        await house.client.post(SUBMIT, json={"MessageId": "Acme.1.0.Smoke"})
        assert await reader.key() == "Smoke"


async def test_destination_is_there_while_the_stream_is(
    house: House, served: Api
) -> None:
    async with reading(served.url) as reader:
        (uri,) = await streams(house)
        shown = (await house.client.get(uri)).json()
        assert shown["SubscriptionType"] == "SSE"
        assert shown["Destination"].startswith("redfish-sse://127.0.0.1:")
        await append(house, volume(1))
        sent = await reader.next()
        assert sent.data is not None
        assert sent.data["Context"] == shown["Context"] != ""
        for method, path in (
            ("PATCH", uri),
            ("POST", f"{uri}/Actions/EventDestination.SuspendSubscription"),
        ):
            answer = await house.client.request(method, path, json={})
            assert answer.status_code == 405
            assert answer.headers["Allow"] == "GET, HEAD, DELETE"

    async def is_gone() -> bool:
        return await streams(house) == []

    await until(is_gone, seconds=SOON)


async def closed(served: Api, uri: str) -> None:
    """Close a stream by its EventDestination, where it is open."""
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as client:
        assert (await client.delete(uri, auth=LOGIN)).status_code == 204


async def test_stream_ends_with_its_destination(house: House, served: Api) -> None:
    async with reading(served.url) as reader:
        (uri,) = await streams(house)
        await closed(served, uri)
        await reader.until_end(1)
    async with reading(served.url) as reader:
        (uri,) = await streams(house)
        assert (await house.client.delete(uri)).status_code == 204
        await reader.until_end()


async def test_streams_of_dead_processes_are_forgotten(house: House) -> None:
    async with api(house) as one, reading(one.url):
        found = Subscriptions(house.store)
        (stream,) = await found.all("SSE")
        dead = stream.model_copy(
            update={"id": "dead", "seen_at": datetime.now(UTC) - timedelta(minutes=1)}
        )
        await found.add(dead)

        async def is_forgotten() -> bool:
            return [each.id for each in await found.all("SSE")] == [stream.id]

        await until(is_forgotten, seconds=SOON)


FILTERS = [
    ("EventFormatType eq Event", "vtTs"),
    ("RegistryPrefix eq 'TaskEvent'", "tT"),
    ("MessageId eq 'TaskEvent.1.0.TaskAborted'", "T"),
    ("MessageId ne 'TaskEvent.TaskAborted'", "vts"),
    ("ResourceType eq 'Volume'", "v"),
    ("Severity eq 'Critical'", "T"),
    (f"OriginResource eq '{TASKS}'", "tT"),
    (f"OriginResource eq '{TASKS}/a'", "t"),
    (f"OriginResource eq '{SYSTEM}'", "tT"),
    (f"OriginResource eq '{SYSTEM}' and SubordinateResources eq true", "vtT"),
    (f"(OriginResource eq '{OTHER}') and (SubordinateResources eq true)", ""),
    ("not (RegistryPrefix eq 'TaskEvent') and not (Severity eq 'Warning')", "vs"),
    ("(ResourceType eq 'Volume') or (Severity eq 'Critical')", "vT"),
    ("EventFormatType eq 'Event' and (ResourceType eq 'Task')", "tT"),
]


@pytest.mark.parametrize(("text", "wanted"), FILTERS)
async def test_filter_chooses(
    house: House, served: Api, text: str, wanted: str
) -> None:
    events = {
        "v": volume(1),
        "t": task("a"),
        "T": task("b", "TaskAborted"),
        "s": resource_created("/redfish/v1/AggregationService/AggregationSources/x"),
    }
    origins = {event.origin: name for name, event in events.items()}
    async with reading(served.url, params={"$filter": text}) as reader:
        (uri,) = await streams(house)
        await append(house, *events.values())
        got = [await reader.event() for _ in wanted]
        await closed(served, uri)
        await reader.until_end()
    found = [origins[each["OriginOfCondition"]["@odata.id"]] for each in got]
    assert sorted(found) == sorted(wanted)
    assert reader.unread == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no filter of OData"),
        ("nonsense", "eq, ne, and, or, not"),
        ("Severity eq", "no filter of OData"),
        ("Severity gt 'OK'", "eq, ne, and, or, not"),
        ("contains(MessageId, 'Task')", "eq, ne, and, or, not"),
        ("Bogus eq 'x'", "may not ask for Bogus"),
        ("MetricReportDefinition eq 'x'", "MetricReportDefinition"),
        ("EventFormatType eq 'MetricReport'", "'Event'"),
        ("MessageId eq 'TaskEvent.Boom'", "'TaskEvent.TaskAborted'"),
        ("RegistryPrefix eq 'Acme'", "'TaskEvent'"),
        ("ResourceType eq 'Spaceship'", "'Volume'"),
        ("Severity eq 5", "single quotes"),
        ("OriginResource eq '/redfish/v1/Nothing'", "@odata.id"),
        ("SubordinateResources eq 'true'", "eq true"),
        ("Severity eq 'OK' or SubordinateResources eq true", "joined"),
        ("not (" * 30 + "Severity eq 'OK'" + ")" * 30, "20 deep"),
        ("(" * 1500, "no filter of OData"),
        ("x" * 2001, "2000"),
        (" or ".join(["Severity eq 'OK'"] * 51), "50"),
        ("Severity eq 'OK' and \x00", "no filter of OData"),
    ],
)
async def test_filter_that_cannot_be_followed_is_refused(
    house: House, served: Api, text: str, said: str
) -> None:
    answer = await asked(served.url, params={"$filter": text})
    assert answer.status_code == 400
    assert message_keys(answer) == ["QueryParameterValueError"]
    assert said in answer.text
    assert await streams(house) == []


@pytest.mark.parametrize("query", ["$top=1", "$filter=Severity eq 'OK'&$select=x"])
async def test_other_options_are_not_supported(served: Api, query: str) -> None:
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as client:
        answer = await client.get(f"{STREAM}?{query}", auth=LOGIN)
    assert answer.status_code == 501


async def test_two_filters_are_refused(served: Api) -> None:
    params = [("$filter", "Severity eq 'OK'")] * 2
    assert (await asked(served.url, params=params)).status_code == 400


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "", "9" * 19, "1, 2", "١"])
async def test_id_that_is_none_is_refused(served: Api, given: str) -> None:
    headers = {"Last-Event-ID": given.encode()}
    answer = await asked(served.url, headers=headers)
    assert answer.status_code == 400
    assert message_keys(answer) == ["HeaderInvalid"]


async def test_stream_is_resumed_in_another_process(house: House, served: Api) -> None:
    async with reading(served.url) as reader:
        await append(house, volume(1))
        sent = await reader.next()
    assert sent.id is not None
    await append(house, *(volume(number) for number in range(2, 300)))
    headers = {"Last-Event-ID": sent.id}
    async with api(house) as other, reading(other.url, headers=headers) as reader:
        for number in range(2, 300):
            assert f"Volumes/{number}'" in str(await reader.event())
        await append(house, volume(300))
        assert "Volumes/300'" in str(await reader.event())


async def test_what_was_forgotten_is_told(house: House, served: Api) -> None:
    await append(house, *(volume(number) for number in range(5)))
    last = await newest(house)
    await EventLog(house.store).prune(datetime(2000, 1, 1, tzinfo=UTC), keep=2)
    headers = {"Last-Event-ID": str(last - 4)}
    query = {"$filter": "ResourceType eq 'Volume'"}
    async with reading(served.url, headers=headers, params=query) as reader:
        sent = await reader.next()
        assert sent.data is not None
        (lost,) = sent.data["Events"]
        assert lost["MessageId"].endswith(".EventBufferExceeded")
        assert (sent.id, lost["EventId"]) == (str(last - 2), f"lost-{last - 4}")
        assert (await reader.event())["EventId"] == str(last - 1)
        assert (await reader.event())["EventId"] == str(last)


async def test_id_that_never_was_is_told_as_a_loss(house: House, served: Api) -> None:
    headers = {"Last-Event-ID": "999999999"}
    async with reading(served.url, headers=headers) as reader:
        assert await reader.key() == "EventBufferExceeded"
        await append(house, volume(1))
        assert await reader.key() == "ResourceCreated"


@pytest.mark.parametrize(
    "accept",
    ["application/json", "text/html, application/xml", "text/event-stream;q=0"],
)
async def test_client_that_wants_no_stream_is_refused(served: Api, accept: str) -> None:
    answer = await asked(served.url, headers={"Accept": accept})
    assert answer.status_code == 406
    assert message_keys(answer) == ["HeaderInvalid"]


@pytest.mark.parametrize(
    "accept", ["*/*", "text/event-stream", "text/*;q=0.5", "a/b, Text/Event-Stream"]
)
async def test_client_that_takes_a_stream_gets_it(served: Api, accept: str) -> None:
    async with reading(served.url, headers={"Accept": accept}):
        pass


async def test_stream_needs_a_login(served: Api) -> None:
    answer = await asked(served.url, auth=("admin", "wrong-password"))
    assert answer.status_code == 401


async def test_head_opens_nothing(house: House, served: Api) -> None:
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as client:
        answer = await client.head(STREAM, auth=LOGIN)
        refused = await client.post(STREAM, auth=LOGIN)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert refused.status_code == 405
    assert await streams(house) == []


async def test_one_more_than_there_may_be_is_refused(house: House) -> None:
    async with api(house, max_streams=2) as one, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(reading(one.url))
        answer = await asked(one.url)
    assert answer.status_code == 503
    assert message_keys(answer) == ["EventSubscriptionLimitExceeded"]
    assert int(answer.headers["Retry-After"]) > 0


async def test_disabled_service_ends_streams_and_opens_none(
    house: House, served: Api
) -> None:
    client = httpx.AsyncClient(base_url=served.url, auth=LOGIN, trust_env=False)
    async with client, reading(served.url) as reader:
        await house.client.patch(SERVICE, json={"ServiceEnabled": False})
        await reader.until_end()
        answer = await asked(served.url)
        await client.patch(SERVICE, json={"ServiceEnabled": True})
    assert answer.status_code == 503
    assert message_keys(answer) == ["ServiceDisabled"]


async def test_stream_goes_on_without_its_session(house: House, served: Api) -> None:
    async with account(house, "ReadOnly") as user:
        opened = await log_in(house.client, user)
        token = {"X-Auth-Token": opened.headers["X-Auth-Token"]}
        async with reading(served.url, headers=token, auth=None) as reader:
            await house.client.delete(opened.headers["Location"])
            for _ in range(10):
                assert (await reader.next()).comment == "alive"
            await append(house, volume(1))
            assert await reader.key() == "ResourceCreated"
            refused = await asked(served.url, headers=token, auth=None)
    assert refused.status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"Enabled": False},
        {"Password": "another-one-8"},
        {"PasswordChangeRequired": True},
    ],
)
async def test_stream_ends_with_what_opened_it(
    house: House, served: Api, change: dict[str, Any]
) -> None:
    async with (
        account(house, "ReadOnly") as user,
        reading(served.url, auth=user) as reader,
        reading(served.url) as other,
    ):
        answer = await house.client.patch(f"{ACCOUNTS}/{user[0]}", json=change)
        assert answer.status_code == 200
        await reader.until_end()
        await append(house, volume(1))
        assert await other.key() == "ResourceCreated"


async def test_stream_ends_with_its_account(house: House, served: Api) -> None:
    async with (
        account(house, "ReadOnly") as user,
        reading(served.url, auth=user) as reader,
    ):
        await house.client.delete(f"{ACCOUNTS}/{user[0]}")
        await reader.until_end()


async def test_others_tasks_do_not_come_in_owner_only_mode(house: House) -> None:
    async with (
        account(house, "Operator") as user,
        api(house, owner_only=True) as one,
        reading(one.url, auth=user) as reader,
        reading(one.url) as manager,
    ):
        await append(house, task("a", owner="eve"), task("b", owner=user[0]))
        await append(house, volume(1))
        assert (await reader.event())["MessageArgs"] == ["b"]
        assert "Volumes/1" in str(await reader.event())
        assert (await manager.event())["MessageArgs"] == ["a"]
        assert (await manager.event())["MessageArgs"] == ["b"]


async def test_all_tasks_come_to_everybody_else(house: House, served: Api) -> None:
    async with (
        account(house, "ReadOnly") as user,
        reading(served.url, auth=user) as reader,
    ):
        await append(house, task("a", owner="eve"))
        assert (await reader.event())["MessageArgs"] == ["a"]


async def test_client_that_does_not_read_is_cut_off(house: House) -> None:
    """Its kernel takes some; then the server waits no longer than for an answer."""
    long = volume(1).model_copy(update={"concerns": ()})
    message = long.message.model_copy(update={"message": "x" * 60_000})
    events = [long.model_copy(update={"message": message})] * 100
    async with api(house, request_timeout=1) as one:
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        small.setblocking(False)
        port = one.server.servers[0].sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        await loop.sock_connect(small, ("127.0.0.1", port))
        token = (await token_of(house.client, LOGIN))["X-Auth-Token"]
        head = f"GET {STREAM} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}"
        await loop.sock_sendall(small, f"{head}\r\n\r\n".encode())

        async def is_open() -> bool:
            return len(await streams(house)) == 1

        async def is_cut() -> bool:
            return await streams(house) == []

        await until(is_open, seconds=SOON)
        async with reading(one.url) as other:
            await append(house, *events)
            for _ in events:
                await other.event()
        await until(is_cut, seconds=SOON * 2)
        small.close()


async def test_stop_ends_streams_at_once(house: House) -> None:
    async with api(house) as one, AsyncExitStack() as stack:
        readers: list[Reader] = [
            await stack.enter_async_context(reading(one.url)) for _ in range(20)
        ]
        began = time.monotonic()
        await one.stop()
        assert time.monotonic() - began < 2
        for reader in readers:
            await reader.until_end(1)
    assert await streams(house) == []


async def test_login_of_a_stream_is_noted_when_it_begins(house: House) -> None:
    entries = "/redfish/v1/Managers/taskfish/LogServices/Audit/Entries"
    async with (
        account(house, "ReadOnly") as user,
        api(house) as one,
        reading(one.url, auth=user),
    ):
        shown = (await house.client.get(entries)).text
    assert user[0] in shown
