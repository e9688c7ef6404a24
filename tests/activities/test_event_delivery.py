"""Delivery to real subscribers: order, batches, faults, policies, what is secret."""

import asyncio
import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from activities.event_delivery import Delivery
from taskfish.encryption import Keyring, generate_key
from taskfish.redfish.event_batches import MOST_BYTES, MOST_EVENTS
from taskfish.redfish.event_filters import EventFilter
from taskfish.redfish.messages import task_message
from taskfish.store.accounts import Account
from taskfish.store.tables import subscriptions
from tests.activities.deliveries import Office, open_office, progress
from tests.cli.certificates import write_pair
from tests.store.stores import opened
from tests.subscriber import Fault, Listener, listening
from tests.workflows.houses import until


def percents(listener: Listener) -> list[int]:
    """Return the progress that was told of, in its order."""
    told = (each for each in listener.events if len(each["MessageArgs"]) == 2)
    return [int(each["MessageArgs"][1]) for each in told]


async def test_event_is_posted_as_the_schema_says(
    office: Office, listener: Listener
) -> None:
    async with office.delivering(await office.subscribe(listener)):
        await office.tell(40)
        await listener.until(1)
    (post,) = listener.posts
    assert post.headers["content-type"] == "application/json"
    (event,) = post.events
    timestamp = event.pop("EventTimestamp")
    assert datetime.fromisoformat(timestamp) <= datetime.now(UTC)
    assert event == {
        "EventType": "StatusChange",
        "MemberId": "0",
        "EventId": "1",
        "MessageId": "TaskEvent.1.0.TaskProgressChanged",
        "Message": "The task task-1 is 40 percent complete.",
        "MessageArgs": ["task-1", "40"],
        "MessageSeverity": "OK",
        "OriginOfCondition": {"@odata.id": "/redfish/v1/TaskService/Tasks/task-1"},
    }
    body = post.body
    assert body.pop("Events")
    assert body.pop("@odata.type").startswith("#Event.v1_")
    assert body == {"Id": "1", "Name": "Events", "Context": "mine"}


async def test_events_come_in_order_on_one_connection(
    office: Office, listener: Listener
) -> None:
    async with office.delivering(await office.subscribe(listener)):
        for percent in range(1, 31):
            await office.tell(percent)
        await listener.until(30)
    assert percents(listener) == list(range(1, 31))
    assert listener.connections == 1


async def test_what_has_piled_up_comes_in_batches(
    office: Office, listener: Listener
) -> None:
    subscription = await office.subscribe(listener)
    await office.tell(*range(1, 251))
    async with office.delivering(subscription):
        await listener.until(250)
    assert [len(post.events) for post in listener.posts] == [
        MOST_EVENTS,
        MOST_EVENTS,
        50,
    ]
    assert percents(listener) == list(range(1, 251))
    for post in listener.posts:
        numbers = [event["MemberId"] for event in post.events]
        assert numbers == [str(number) for number in range(len(numbers))]


async def test_cursor_is_kept_after_each_batch(
    office: Office, listener: Listener
) -> None:
    subscription = await office.subscribe(listener)
    async with office.delivering(subscription):
        await office.tell(10, 20)
        await listener.until(2)

        async def is_kept() -> bool:
            return await office.cursor(subscription) == 2

        await until(is_kept)


async def test_next_delivery_goes_on_from_the_cursor(
    office: Office, listener: Listener
) -> None:
    subscription = await office.subscribe(listener)
    async with office.delivering(subscription) as first:
        await office.tell(10)
        await until(lambda: first.seen.delivered == 1)
    await office.tell(20)
    async with office.delivering(subscription, first.seen) as second:
        await until(lambda: second.seen.delivered == 2)
    assert percents(listener) == [10, 20]


async def test_only_what_was_asked_for_is_sent(
    office: Office, listener: Listener
) -> None:
    origins = EventFilter(origins=("/redfish/v1/TaskService/Tasks/task-2",))
    subscription = await office.subscribe(listener, filters=origins)
    async with office.delivering(subscription) as under:
        await office.tell(10)
        await office.tell(20, task="task-2")
        await office.tell(30)
        await until(lambda: under.seen.cursor == 3)
    assert percents(listener) == [20]


async def test_events_that_nobody_wants_are_no_gap(
    office: Office, listener: Listener
) -> None:
    nothing = EventFilter(message_ids=("TaskEvent.TaskRemoved",))
    subscription = await office.subscribe(listener, filters=nothing)
    async with office.delivering(subscription) as under:
        await office.tell(*range(1, 50))
        await until(lambda: under.seen.cursor == 49)
        await office.log.prune(datetime.now(UTC), keep=1)
        await office.tell(50)
        await until(lambda: under.seen.cursor == 50)
    assert listener.posts == []


async def test_gap_is_told_of_once(office: Office, listener: Listener) -> None:
    subscription = await office.subscribe(listener)
    await office.tell(*range(1, 50))
    await office.log.prune(datetime.now(UTC), keep=2)
    async with office.delivering(subscription) as under:
        await listener.until(2)
        await office.tell(50)
        await until(lambda: under.seen.delivered == 3)
    assert listener.keys == [
        "EventBufferExceeded",
        "TaskProgressChanged",
        "TaskProgressChanged",
    ]
    assert [each["EventId"] for each in listener.events] == ["lost-0", "49", "50"]


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (None, 500, "answered 500"),
        (None, 404, "answered 404"),
        (None, 307, "redirects (307), which is not followed"),
        ("hang", 204, "did not answer within 1 s"),
        ("drip", 204, "did not answer within 1 s"),
        ("drop", 204, "broke the connection off"),
        ("huge", 500, "answered 500"),
    ],
)
async def test_failure_is_told_and_tried_again(
    office: Office, listener: Listener, fault: Fault | None, status: int, words: str
) -> None:
    listener.fault, listener.status = fault, status
    async with office.delivering(
        await office.subscribe(listener, retry_policy="RetryForever")
    ) as under:
        await office.tell(10)
        await until(lambda: under.seen.error)
        assert under.seen.error == f"The subscriber {words}."
        assert under.seen.failed_at is not None
        await office.tell(20)
        listener.fault, listener.status = None, 204
        await until(lambda: len(set(percents(listener))) == 2)
        await until(lambda: under.seen.failures == 0)
    assert sorted(set(percents(listener))) == [10, 20]
    assert all(post.path == "/events" for post in listener.posts)


async def test_endless_answer_is_not_read(office: Office, listener: Listener) -> None:
    listener.fault = "huge"
    async with office.delivering(await office.subscribe(listener)):
        await office.tell(10)
        await listener.until(1)
        listener.fault = None
        await office.tell(20)
        await listener.until(2)
    assert listener.sent < 16 << 20


async def test_connection_that_was_closed_meanwhile_is_no_failure(
    office: Office, listener: Listener
) -> None:
    async with office.delivering(await office.subscribe(listener)) as under:
        await office.tell(10)
        await listener.until(1)
        await listener.stop()
        await listener.start()
        await office.tell(20)
        await listener.until(2)
    assert under.seen.failures == 0


async def test_dead_subscriber_delays_no_other(
    office: Office, listener: Listener
) -> None:
    async with listening() as dead:
        dead.fault = "hang"
        async with (
            office.delivering(await office.subscribe(dead)),
            office.delivering(await office.subscribe(listener)),
        ):
            await office.tell(10)
            await dead.until_tried(1)
            began = asyncio.get_running_loop().time()
            await office.tell(20)
            await listener.until(2)
    assert asyncio.get_running_loop().time() - began < 1


async def test_subscription_ends_after_its_retries(
    office: Office, listener: Listener
) -> None:
    listener.status = 500
    subscription = await office.subscribe(listener)
    async with office.delivering(subscription) as under:
        await office.tell(10)
        await under.ended()
    assert await office.subscriptions.get(subscription.id) is None
    *tries, last = listener.posts
    assert len(tries) == 1 + office.settings.delivery_retry_attempts
    (event,) = last.events
    assert event["MessageId"].endswith(".SubscriptionTerminated")
    assert event["EventId"] == f"terminated-{subscription.id}"
    (_, removed) = await office.log.after(0)
    assert removed.event.message.message_id.endswith(".ResourceRemoved")
    assert removed.event.origin.endswith(f"/Subscriptions/{subscription.id}")
    assert removed.event.resource_type == "EventDestination"
    assert removed.event.owner == subscription.owner


async def test_subscription_that_was_changed_during_its_last_try_stays(
    office: Office, listener: Listener
) -> None:
    listener.fault = "hang"
    subscription = await office.subscribe(listener)
    attempts = office.settings.delivery_retry_attempts
    await office.tell(10)
    async with office.delivering(
        subscription, Delivery(revision=1, failures=attempts)
    ) as under:
        await listener.until_tried(1)
        await office.subscriptions.change(subscription.id, retry_policy="RetryForever")
        await until(lambda: under.seen.revision == 2)
        listener.fault = None
        await until(lambda: under.seen.delivered == 1)
    assert set(percents(listener)) == {10}


async def test_subscription_is_suspended_and_resumed(
    office: Office, listener: Listener
) -> None:
    listener.status = 503
    subscription = await office.subscribe(listener, retry_policy="SuspendRetries")
    async with office.delivering(subscription) as under:
        await office.tell(10)
        await until(lambda: under.seen.status == "is suspended")
        tries = len(listener.posts)
        assert tries == 1 + office.settings.delivery_retry_attempts
        await office.tell(20)
        listener.status = 204
        suspended = await office.subscriptions.get(subscription.id)
        assert suspended is not None
        assert suspended.state == "Disabled"
        assert len(listener.posts) == tries
        await office.subscriptions.change(subscription.id, state="Enabled")
        await listener.until(2)
    assert percents(listener) == [10, 20]


async def test_resumed_subscription_may_begin_elsewhere(
    office: Office, listener: Listener
) -> None:
    subscription = await office.subscribe(listener, state="Disabled")
    await office.tell(10, 20, 30)
    async with office.delivering(subscription) as under:
        await until(lambda: under.seen.status == "is suspended")
        await office.subscriptions.change(subscription.id, state="Enabled", cursor=2)
        await listener.until(1)
    assert percents(listener) == [30]


@pytest.mark.parametrize("policy", ["RetryForever", "RetryForeverWithBackoff"])
async def test_subscription_is_retried_for_good(
    office: Office, listener: Listener, policy: str
) -> None:
    listener.status = 500
    subscription = await office.subscribe(listener, retry_policy=policy)
    async with office.delivering(subscription):
        await office.tell(10)
        await listener.until_tried(3 + office.settings.delivery_retry_attempts)
        listener.status = 204
        await listener.until(1)
    assert await office.subscriptions.get(subscription.id) is not None


async def test_failures_are_counted_across_workers(
    office: Office, listener: Listener
) -> None:
    listener.status = 500
    subscription = await office.subscribe(listener)
    attempts = office.settings.delivery_retry_attempts
    seen = Delivery(revision=1, failures=attempts)
    await office.tell(10)
    async with office.delivering(subscription, seen) as under:
        await under.ended()
    assert len(listener.posts) == 2


async def test_subscriber_is_left_alone_until_its_next_try(
    office: Office, listener: Listener
) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    subscription = await office.subscribe(listener)
    await office.tell(10)
    seen = Delivery(revision=1, failures=1, retry_at=later)
    async with office.delivering(subscription, seen) as under:
        await until(lambda: under.seen.status == "tries again")
        assert listener.posts == []
        await office.subscriptions.change(subscription.id, context="mended")
        await listener.until(1)
    assert listener.posts[0].body["Context"] == "mended"


async def test_change_of_filters_is_noticed(office: Office, listener: Listener) -> None:
    subscription = await office.subscribe(listener)
    async with office.delivering(subscription) as under:
        await office.tell(10)
        await listener.until(1)
        warnings = EventFilter(severities=("Warning",))
        await office.subscriptions.change(subscription.id, filters=warnings)
        await until(lambda: under.seen.revision == 2)
        await office.tell(20)
        await until(lambda: under.seen.cursor == 2)
    assert percents(listener) == [10]


async def test_unreadable_subscription_is_waited_for(
    office: Office, listener: Listener
) -> None:
    subscription = await office.subscribe(listener)
    sealed = Keyring([SecretStr(generate_key())]).seal(b"{}")
    async with office.store.write() as connection:
        await connection.execute(update(subscriptions).values(http_headers=sealed))
    async with office.delivering(subscription) as delivery:
        await office.tell(1)
        await until(lambda: delivery.seen.status == "cannot read its subscription")
        assert listener.keys == []
        await office.subscriptions.change(subscription.id, http_headers={})
        await listener.until(1)


async def test_delivery_ends_with_its_subscription(
    office: Office, listener: Listener
) -> None:
    subscription = await office.subscribe(listener)
    async with office.delivering(subscription) as under:
        await until(lambda: under.seen.status == "delivers")
        assert await office.subscriptions.remove(subscription.id)
        await under.ended()


async def test_nothing_is_sent_while_the_service_is_disabled(
    office: Office, listener: Listener
) -> None:
    office.is_enabled = False
    async with office.delivering(await office.subscribe(listener)) as under:
        await office.tell(10)
        await until(lambda: "EventService" in under.seen.status)
        assert listener.posts == []
        office.is_enabled = True
        await listener.until(1)


async def test_heartbeat_comes_at_its_interval(
    office: Office, listener: Listener
) -> None:
    nothing = EventFilter(message_ids=("TaskEvent.TaskRemoved",))
    subscription = await office.subscribe(
        listener, heartbeat_minutes=2, filters=nothing
    )
    async with office.delivering(subscription):
        await listener.until(2)
    assert listener.keys == ["RedfishServiceFunctional"] * 2
    first, second = (event["EventId"] for event in listener.events)
    assert first != second
    assert first.startswith("heartbeat-")
    assert await office.log.newest() == 0


async def test_subscribers_headers_are_sent_and_shown_nowhere(
    office: Office, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Authorization": "Bearer s3cret-w0rd", "X-Room": "rack7"}
    caplog.set_level(logging.INFO)
    listener.status = 401
    subscription = await office.subscribe(
        listener, http_headers=headers, retry_policy="RetryForever"
    )
    async with office.delivering(subscription) as under:
        await office.tell(10)
        await until(lambda: under.seen.error)
    assert listener.posts[0].headers["authorization"] == "Bearer s3cret-w0rd"
    assert listener.posts[0].headers["x-room"] == "rack7"
    assert "s3cret" not in caplog.text + under.seen.model_dump_json()


@pytest.mark.parametrize("value", ["s3cret\r\nX-Planted: 1", "s3cret\0"])
async def test_impossible_header_is_told_of_without_its_value(
    office: Office, listener: Listener, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    subscription = await office.subscribe(
        listener, http_headers={"X-Token": value}, retry_policy="RetryForever"
    )
    async with office.delivering(subscription) as under:
        await office.tell(10)
        await until(lambda: under.seen.error)
    assert "HttpHeaders" in str(under.seen.error)
    assert "s3cret" not in caplog.text + under.seen.model_dump_json()
    assert listener.posts == []


async def test_headers_do_not_change_what_is_sent_and_to_whom(
    office: Office, listener: Listener
) -> None:
    headers = {"Host": "elsewhere", "Content-Length": "3", "content-type": "text/html"}
    subscription = await office.subscribe(listener, http_headers=headers)
    async with office.delivering(subscription):
        await office.tell(10)
        await listener.until(1)
    (post,) = listener.posts
    assert post.headers["host"] in listener.url
    assert post.headers["content-type"] == "application/json"


async def test_no_more_than_the_host_of_a_destination_is_shown(
    office: Office, listener: Listener
) -> None:
    host = listener.url.removesuffix("/events")
    secret = f"{host}/hooks/s3cret?token=s3cret"
    destination = secret.replace("http://", "http://u:s3cret@")
    subscription = await office.subscribe(listener, destination=destination)
    async with office.delivering(subscription) as under:
        await office.tell(10)
        await until(lambda: under.seen.delivered)
    assert under.seen.destination == host
    assert "s3cret" not in under.seen.model_dump_json()


async def test_address_that_may_not_be_reached_is_refused(
    tmp_path: Path, listener: Listener
) -> None:
    async with (
        opened(tmp_path) as store,
        open_office(store, tmp_path, allow_local_addresses=False) as office,
    ):
        subscription = await office.subscribe(listener, retry_policy="RetryForever")
        async with office.delivering(subscription) as under:
            await office.tell(10)
            await until(lambda: under.seen.error)
    assert "is a loopback address" in str(under.seen.error)
    assert listener.connections == 0


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("a..b", "cannot be connected to"),
        (f"{'a' * 64}.example", "cannot be connected to"),
        ("xn--a", "is not a usable URL"),
    ],
)
async def test_destination_that_nobody_can_find_fails_as_any_other(
    office: Office, listener: Listener, host: str, words: str
) -> None:
    subscription = await office.subscribe(listener, destination=f"http://{host}/")
    async with office.delivering(subscription) as under:
        await office.tell(10)
        await until(lambda: under.seen.error)
        assert words in str(under.seen.error)
        await under.ended()


@pytest.mark.parametrize("verifies", [True, False])
async def test_certificate_is_verified_if_the_subscription_says_so(
    office: Office, tmp_path: Path, verifies: bool
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*write_pair(tmp_path))
    async with listening(tls) as listener:
        subscription = await office.subscribe(
            listener, verify_certificate=verifies, retry_policy="RetryForever"
        )
        async with office.delivering(subscription) as under:
            await office.tell(10)
            await until(lambda: under.seen.error or under.seen.delivered)
    assert len(listener.posts) == (0 if verifies else 1)
    if verifies:
        assert "certificate that is not trusted" in str(under.seen.error)


async def test_proxy_of_the_environment_is_not_used(
    office: Office, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with office.delivering(await office.subscribe(listener)):
        await office.tell(10)
        await listener.until(1)


async def test_payload_ends_before_its_limit(
    office: Office, listener: Listener
) -> None:
    subscription = await office.subscribe(listener)
    long = [progress("task-1", each) for each in range(1, 8)]
    await office.log.append(*(worded(each, "x" * 300_000) for each in long))
    async with office.delivering(subscription):
        await listener.until(7)
    assert [len(post.events) for post in listener.posts] == [3, 3, 1]
    assert max(len(post.content) for post in listener.posts) <= MOST_BYTES
    assert all(len(each["Message"]) == 300_000 for each in listener.events)


async def test_event_that_is_too_long_alone_is_cut_and_says_so(
    office: Office, listener: Listener
) -> None:
    subscription = await office.subscribe(listener)
    await office.log.append(worded(progress("task-1", 1), "ü" * 300_000))
    await office.tell(2)
    async with office.delivering(subscription):
        await listener.until(2)
    first, second = listener.events
    assert first["Message"].endswith("… (cut: it has 300000 characters)")
    assert second["MessageArgs"] == ["task-1", "2"]
    assert max(len(post.content) for post in listener.posts) <= MOST_BYTES


@pytest.mark.parametrize(
    ("role", "expected"),
    [("Administrator", [10, 20]), ("Operator", [20])],
)
async def test_events_of_others_are_for_managers(
    tmp_path: Path, listener: Listener, role: str, expected: list[int]
) -> None:
    async with (
        opened(tmp_path) as store,
        open_office(store, tmp_path, owner_only=True, admin_username="root") as office,
    ):
        await office.accounts.add(Account(name="ada", role=role, password="-"))
        async with office.delivering(await office.subscribe(listener)) as under:
            await office.tell(10, owner="eve", task="hers")
            await office.tell(20, owner="ada", task="mine")
            last = await office.log.newest()
            await until(lambda: under.seen.cursor == last)
    assert percents(listener) == expected


async def test_nothing_is_sent_for_an_owner_who_is_not_there(
    office: Office, listener: Listener
) -> None:
    subscription = await office.subscribe(listener, owner="eve")
    async with office.delivering(subscription) as under:
        await office.tell(10)
        await until(lambda: "owner" in under.seen.status)
    assert listener.posts == []


async def test_nothing_is_sent_while_the_owner_is_disabled(
    office: Office, listener: Listener
) -> None:
    await office.accounts.add(Account(name="eve", role="Operator", password="-"))
    subscription = await office.subscribe(listener, owner="eve")
    async with office.delivering(subscription) as under:
        await office.tell(10)
        await listener.until(1)
        eve = await office.accounts.get("eve")
        assert eve is not None
        assert await office.accounts.change(eve, enabled=False)
        await until(lambda: "owner" in under.seen.status)
        await office.tell(20)
        assert percents(listener) == [10]
        eve = await office.accounts.get("eve")
        assert eve is not None
        assert await office.accounts.change(eve, enabled=True)
        await listener.until(2)
    assert percents(listener) == [10, 20]


def worded(event: Any, text: str) -> Any:
    """Return an event with other words."""
    message = task_message("TaskProgressChanged", "task-1", "1", text=text)
    return event.model_copy(update={"message": message})
