"""Subscriptions: what may be asked for, what is refused, who may change them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import update

from taskfish.encryption import Keyring, generate_key
from taskfish.redfish.events import Event, resource_created
from taskfish.store.subscriptions import Subscription, Subscriptions
from taskfish.store.tables import subscriptions
from tests.api.accounts import account
from tests.api.answers import members, message_keys
from tests.api.events import (
    SERVICE,
    SUBSCRIPTIONS,
    append,
    forget_subscriptions,
    newest,
    newest_events,
    subscription,
)
from tests.api.sessions import another_api
from tests.api.test_service import without_temporal
from tests.house import PASSWORD, TASKS, USER, House

SYSTEM = "/redfish/v1/Systems/node1.1"
LOGIN = (USER, PASSWORD)


@pytest.fixture
async def house(house: House) -> AsyncIterator[House]:
    """Give the gateway without subscriptions, before and after."""
    await forget_subscriptions(house)
    yield house
    await forget_subscriptions(house)


async def subscribed(house: House, **more: Any) -> httpx.Response:
    """Subscribe and return the 201."""
    answer = await house.client.post(SUBSCRIPTIONS, json=subscription(**more))
    assert answer.status_code == 201, answer.text
    return answer


async def kept(house: House, answer: httpx.Response) -> Subscription:
    """Return a subscription as the store has it."""
    found = await Subscriptions(house.store).get(answer.json()["Id"])
    assert found is not None
    return found


def made(number: int, at: datetime | None = None) -> Event:
    """Return the event of a volume that was made."""
    uri = f"{SYSTEM}/Storage/1/Volumes/{number}"
    return resource_created(uri, at=at or datetime.now(UTC))


async def test_subscription_is_shown_as_it_was_made(house: House) -> None:
    given = {
        "Context": "rack 7",
        "Name": "Mine",
        "RegistryPrefixes": ["TaskEvent"],
        "MessageIds": ["ResourceEvent.1.4.ResourceCreated"],
        "ExcludeMessageIds": ["TaskEvent.TaskProgressChanged"],
        "ResourceTypes": ["Task", "Volume"],
        "Severities": ["Warning", "Critical"],
        "OriginResources": [{"@odata.id": TASKS}, {"@odata.id": SYSTEM}],
        "SubordinateResources": True,
        "VerifyCertificate": True,
        "DeliveryRetryPolicy": "RetryForeverWithBackoff",
        "SendHeartbeat": True,
        "HeartbeatIntervalMinutes": 5,
        "EventTypes": ["StatusChange"],
    }
    answer = await subscribed(house, **given)
    shown = answer.json()
    assert given.items() <= shown.items()
    assert shown["SubscriptionType"] == "RedfishEvent"
    assert shown["Protocol"] == "Redfish"
    assert shown["EventFormatType"] == "Event"
    assert shown["HttpHeaders"] == []
    assert shown["Status"] == {"State": "Enabled", "Health": "OK"}
    assert answer.headers["Location"] == shown["@odata.id"]
    read = await house.client.get(answer.headers["Location"])
    assert read.json() == shown
    assert read.headers["ETag"] == answer.headers["ETag"] == shown["@odata.etag"]
    assert members(await house.client.get(SUBSCRIPTIONS)) == [shown["@odata.id"]]


async def test_least_subscription_has_the_schemas_defaults(house: House) -> None:
    shown = (await subscribed(house)).json()
    assert shown["Context"] == ""
    assert shown["VerifyCertificate"] is False
    assert shown["DeliveryRetryPolicy"] == "TerminateAfterRetries"
    assert shown["SendHeartbeat"] is False
    assert "HeartbeatIntervalMinutes" not in shown
    assert "EventTypes" not in shown
    assert shown["OriginResources"] == shown["MessageIds"] == []


async def test_members_of_the_collection_is_the_collection(house: House) -> None:
    uri = f"{SUBSCRIPTIONS}/Members"
    answer = await house.client.post(uri, json=subscription())
    assert answer.status_code == 201


async def test_headers_are_kept_and_never_shown(house: House) -> None:
    secret = {"Authorization": "Bearer s3cret"}
    answer = await subscribed(house, HttpHeaders=[secret, {"X-Rack": "7"}])
    assert (await kept(house, answer)).http_headers == {**secret, "X-Rack": "7"}
    read = await house.client.get(answer.headers["Location"])
    assert "s3cret" not in answer.text + read.text


async def test_delivery_runs_for_each_subscription(house: House) -> None:
    answer = await subscribed(house)
    handle = house.temporal.get_workflow_handle(f"delivery:{answer.json()['Id']}")
    found = await handle.describe()
    assert found.workflow_type == "EventDelivery"
    assert found.task_queue == house.settings.task_queue
    await handle.terminate()


async def test_nothing_is_delivered_of_what_was_before(house: House) -> None:
    await append(house, made(1))
    answer = await subscribed(house)
    assert (await kept(house, answer)).cursor == await newest(house)


async def test_subscriptions_come_and_go_with_an_event(house: House) -> None:
    before = await newest(house)
    uri = (await subscribed(house)).headers["Location"]
    await house.client.delete(uri)
    told = [each.event for each in await newest_events(house, before)]
    assert [each.message.message_id.rpartition(".")[2] for each in told] == [
        "ResourceCreated",
        "ResourceRemoved",
    ]
    assert {each.origin for each in told} == {uri}


LOCAL = [
    "http://127.0.0.1:8000/",
    "https://[::1]/",
    "http://169.254.1.1/x",
    "http://169.254.169.254/latest",
    "http://0.0.0.0/",
    "http://localhost/x",
    "http://LOCALHOST./x",
    "http://a.localhost/x",
    "http://[::ffff:127.0.0.1]/",
    "http://224.0.0.1/",
]


@pytest.mark.parametrize("destination", LOCAL)
async def test_destination_on_this_machine_is_refused(
    house: House, destination: str
) -> None:
    body = subscription(Destination=destination)
    async with another_api(house, allow_local_addresses=False) as client:
        login = LOGIN
        answer = await client.post(SUBSCRIPTIONS, json=body, auth=login)
    assert answer.status_code == 400
    assert message_keys(answer) == ["PropertyValueIncorrect"]
    assert "TASKFISH_ALLOW_LOCAL_ADDRESSES" in answer.text
    assert (await house.client.post(SUBSCRIPTIONS, json=body)).status_code == 201


NOT_IN_LIST, TYPE, FORM = (
    f"PropertyValue{fault}" for fault in ("NotInList", "TypeError", "FormatError")
)
RANGE, CONFLICT = "PropertyValueOutOfRange", "PropertyValueConflict"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"Protocol": "FTP"}, NOT_IN_LIST),
    ({"Protocol": "SNMPv2c"}, NOT_IN_LIST),
    ({"Protocol": None}, NOT_IN_LIST),
    ({"Destination": ""}, FORM),
    ({"Destination": None}, TYPE),
    ({"Destination": "listener.example.com"}, FORM),
    ({"Destination": "ftp://listener.example.com/"}, FORM),
    ({"Destination": "redfish-sse://10.0.0.1:80"}, FORM),
    ({"Destination": "http://"}, FORM),
    ({"Destination": "http:///path"}, FORM),
    ({"Destination": "http://host:0/"}, FORM),
    ({"Destination": "http://host:99999/"}, FORM),
    ({"Destination": "http://host:x/"}, FORM),
    ({"Destination": "http://[::1/"}, FORM),
    ({"Destination": "http://host/a b"}, FORM),
    ({"Destination": "http://host/\r\nX: y"}, FORM),
    ({"Destination": "http://host/#part"}, FORM),
    ({"Destination": "http://host/" + "x" * 2048}, FORM),
    ({"Destination": "http://a..b/"}, FORM),
    ({"Destination": f"http://{'a' * 64}.example/"}, FORM),
    ({"Destination": "http://xn--a/"}, FORM),
    ({"Destination": "http://user:pw@host/"}, "PropertyValueIncorrect"),
    ({"SubscriptionType": "SSE"}, NOT_IN_LIST),
    ({"SubscriptionType": "SNMPTrap"}, NOT_IN_LIST),
    ({"EventFormatType": "MetricReport"}, NOT_IN_LIST),
    ({"EventTypes": ["MetricReport"]}, NOT_IN_LIST),
    ({"EventTypes": "Alert"}, TYPE),
    ({"RegistryPrefixes": ["Acme"]}, NOT_IN_LIST),
    ({"RegistryPrefixes": ["TaskEvent.1.0"]}, NOT_IN_LIST),
    ({"RegistryPrefixes": [7]}, TYPE),
    ({"RegistryPrefixes": None}, TYPE),
    ({"RegistryPrefixes": ["TaskEvent"] * 101}, RANGE),
    ({"MessageIds": ["TaskEvent.1.0.TaskExploded"]}, NOT_IN_LIST),
    ({"MessageIds": ["TaskStarted"]}, NOT_IN_LIST),
    ({"MessageIds": [""]}, NOT_IN_LIST),
    ({"ExcludeMessageIds": ["Acme.1.0.Smoke"]}, NOT_IN_LIST),
    ({"ExcludeRegistryPrefixes": ["acme"]}, NOT_IN_LIST),
    ({"ResourceTypes": ["Task.v1_7_4.Task"]}, NOT_IN_LIST),
    ({"ResourceTypes": ["Spaceship"]}, NOT_IN_LIST),
    ({"Severities": ["Ok"]}, NOT_IN_LIST),
    ({"OriginResources": [TASKS]}, TYPE),
    ({"OriginResources": [{}]}, "PropertyMissing"),
    ({"OriginResources": [{"@odata.id": "/redfish/v1/Spaceships/1"}]}, NOT_IN_LIST),
    ({"OriginResources": [{"@odata.id": "/redfish/v1/Systems/1"}]}, NOT_IN_LIST),
    ({"OriginResources": [{"@odata.id": "http://x/redfish/v1"}]}, NOT_IN_LIST),
    ({"OriginResources": [{"@odata.id": ""}]}, NOT_IN_LIST),
    ({"SubordinateResources": "true"}, TYPE),
    ({"DeliveryRetryPolicy": "Sometimes"}, NOT_IN_LIST),
    ({"VerifyCertificate": "yes"}, TYPE),
    ({"IncludeOriginOfCondition": True}, NOT_IN_LIST),
    ({"SendHeartbeat": True, "HeartbeatIntervalMinutes": 0}, RANGE),
    ({"SendHeartbeat": True, "HeartbeatIntervalMinutes": 65536}, RANGE),
    ({"SendHeartbeat": True, "HeartbeatIntervalMinutes": 1.5}, TYPE),
    ({"HeartbeatIntervalMinutes": 5}, CONFLICT),
    ({"SendHeartbeat": False, "HeartbeatIntervalMinutes": 5}, CONFLICT),
    ({"Context": 7}, TYPE),
    ({"Context": "a\nb"}, FORM),
    ({"Context": "x" * 1025}, FORM),
    ({"Name": ""}, FORM),
    ({"HttpHeaders": {"A": "b"}}, TYPE),
    ({"HttpHeaders": [{"A": 1}]}, TYPE),
    ({"HttpHeaders": [{"A b": "c"}]}, FORM),
    ({"HttpHeaders": [{"A:": "c"}]}, FORM),
    ({"HttpHeaders": [{"A": "b\r\nC: d"}]}, FORM),
    ({"HttpHeaders": [{"A": "ü"}]}, FORM),
    ({"HttpHeaders": [{f"A{n}": "b"} for n in range(33)]}, RANGE),
    ({"MessageIds": ["TaskEvent.TaskStarted"]}, CONFLICT),
    ({"RegistryPrefixes": ["Base"]}, CONFLICT),
    ({"BackupDestinations": ["http://b/"]}, "PropertyNotWritable"),
    ({"Id": "mine"}, "PropertyNotWritable"),
    ({"Status": {"State": "Disabled"}}, "PropertyNotWritable"),
    ({"Bogus": 1}, "PropertyUnknown"),
    ({"destination": "http://x/"}, "PropertyUnknown"),
]
CONTRADICTED = {
    "MessageIds": {"ExcludeMessageIds": ["TaskEvent.1.0.TaskStarted"]},
    "RegistryPrefixes": {"ExcludeRegistryPrefixes": ["Base"]},
}


@pytest.mark.parametrize(("change", "key"), WRONG)
async def test_wrong_subscription_is_refused(
    house: House, change: dict[str, Any], key: str
) -> None:
    if key == CONFLICT:
        change = {**change, **CONTRADICTED.get(next(iter(change)), {})}
    answer = await house.client.post(SUBSCRIPTIONS, json=subscription(**change))
    assert answer.status_code == 400, answer.text
    assert message_keys(answer) == [key]
    assert members(await house.client.get(SUBSCRIPTIONS)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Protocol": "FTP"}, "'Redfish'"),
        ({"RegistryPrefixes": ["Acme"]}, "'TaskEvent'"),
        ({"MessageIds": ["TaskEvent.Boom"]}, "'TaskEvent.TaskAborted'"),
        ({"MessageIds": ["Acme.Boom"]}, "'TaskEvent.…'"),
        ({"ResourceTypes": ["X"]}, "'Volume'"),
        ({"Severities": ["X"]}, "'Critical'"),
        ({"HttpHeaders": [{f"A{n}": "b"} for n in range(33)]}, "at most 32"),
    ],
)
async def test_refusal_names_what_is_allowed(
    house: House, change: dict[str, Any], said: str
) -> None:
    answer = await house.client.post(SUBSCRIPTIONS, json=subscription(**change))
    (info,) = answer.json()["error"]["@Message.ExtendedInfo"]
    assert said in info["Resolution"]
    assert info["RelatedProperties"][0].startswith(f"#/{next(iter(change))}")


@pytest.mark.parametrize("missing", ["Destination", "Protocol"])
async def test_what_has_to_be_there_is_asked_for(house: House, missing: str) -> None:
    body = {k: v for k, v in subscription().items() if k != missing}
    answer = await house.client.post(SUBSCRIPTIONS, json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == ["PropertyMissing"]


async def test_one_more_than_there_may_be_is_refused(house: House) -> None:
    async with another_api(house, max_subscriptions=2) as client:
        answers = await asyncio.gather(
            *(
                client.post(SUBSCRIPTIONS, json=subscription(), auth=LOGIN)
                for _ in range(5)
            )
        )
    assert sorted(each.status_code for each in answers) == [201] * 2 + [503] * 3
    refused = next(each for each in answers if each.status_code == 503)
    assert message_keys(refused) == ["EventSubscriptionLimitExceeded"]


async def test_change_is_kept(house: House) -> None:
    uri = (await subscribed(house, Context="old")).headers["Location"]
    change = {
        "Context": "new",
        "VerifyCertificate": True,
        "DeliveryRetryPolicy": "SuspendRetries",
    }
    answer = await house.client.patch(uri, json=change)
    assert answer.status_code == 200
    assert change.items() <= answer.json().items()
    assert (await house.client.get(uri)).json() == answer.json()


async def test_new_headers_change_the_version_and_are_not_shown(house: House) -> None:
    made = await subscribed(house, HttpHeaders=[{"A": "1"}])
    uri = made.headers["Location"]
    change = {"HttpHeaders": [{"B": "t0ken"}]}
    answer = await house.client.patch(uri, json=change)
    assert "t0ken" not in answer.text
    assert answer.headers["ETag"] != made.headers["ETag"]
    assert (await kept(house, made)).http_headers == {"B": "t0ken"}
    await house.client.patch(uri, json={"HttpHeaders": []})
    assert (await kept(house, made)).http_headers == {}


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"Destination": "http://other/"}, "PropertyNotWritable"),
        ({"Protocol": "Redfish"}, "PropertyNotWritable"),
        ({"MessageIds": []}, "PropertyNotWritable"),
        ({"OriginResources": []}, "PropertyNotWritable"),
        ({"SendHeartbeat": True}, "PropertyNotWritable"),
        ({"Id": "x"}, "PropertyNotWritable"),
        ({"Context": 1}, TYPE),
        ({"DeliveryRetryPolicy": "Never"}, NOT_IN_LIST),
        ({"DeliveryRetryPolicy": None}, NOT_IN_LIST),
        ({"VerifyCertificate": None}, TYPE),
        ({"Bogus": 1}, "PropertyUnknown"),
        ({}, "NoOperation"),
        ({"@odata.etag": "x"}, "NoOperation"),
    ],
)
async def test_wrong_change_is_refused(house: House, body: Any, key: str) -> None:
    made = await subscribed(house, Context="old")
    answer = await house.client.patch(made.headers["Location"], json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == [key]
    assert (await house.client.get(made.headers["Location"])).json() == made.json()


async def test_one_of_two_changes_of_a_version_wins(house: House) -> None:
    made = await subscribed(house)
    uri, headers = made.headers["Location"], {"If-Match": made.headers["ETag"]}
    async with another_api(house) as client:
        answers = await asyncio.gather(
            *(
                each.patch(
                    uri,
                    json={"Context": str(number)},
                    headers=headers,
                    auth=LOGIN,
                )
                for number, each in enumerate((house.client, client) * 3)
            )
        )
    assert sorted(each.status_code for each in answers) == [200] + [412] * 5
    assert (await house.client.delete(uri, headers=headers)).status_code == 412
    assert (await house.client.get(uri)).status_code == 200


async def test_unreadable_one_says_so_and_can_be_removed(house: House) -> None:
    made, other = await subscribed(house), await subscribed(house)
    await seal_with_another_key(house, made)
    assert members(await house.client.get(SUBSCRIPTIONS)) == [
        each.json()["@odata.id"] for each in (made, other)
    ]
    uri = made.json()["@odata.id"]
    shown = (await house.client.get(uri)).json()
    assert shown["Status"] == {"State": "UnavailableOffline", "Health": "Critical"}
    assert "cannot be read" in shown["Description"]
    assert "Description" not in other.json()
    assert (await house.client.delete(uri)).status_code == 204
    assert (await house.client.get(uri)).status_code == 404


async def seal_with_another_key(house: House, answer: httpx.Response) -> None:
    """Make a subscription's headers what no key of this gateway opens."""
    sealed = Keyring([SecretStr(generate_key())]).seal(b"{}")
    its = update(subscriptions).where(subscriptions.c.id == answer.json()["Id"])
    async with house.store.write() as connection:
        await connection.execute(its.values(http_headers=sealed))


async def test_subscription_that_is_gone_is_not_found(house: House) -> None:
    uri = (await subscribed(house)).headers["Location"]
    assert (await house.client.delete(uri)).status_code == 204
    for method, path in (
        ("GET", uri),
        ("PATCH", uri),
        ("DELETE", uri),
        ("POST", f"{uri}/Actions/EventDestination.SuspendSubscription"),
        ("POST", f"{uri}/Actions/EventDestination.ResumeSubscription"),
    ):
        answer = await house.client.request(method, path)
        assert answer.status_code == 404
    assert members(await house.client.get(SUBSCRIPTIONS)) == []


async def test_suspended_one_is_disabled_until_it_is_resumed(house: House) -> None:
    made = await subscribed(house)
    shown = made.json()
    suspend, resume = (each["target"] for each in shown["Actions"].values())
    assert suspend.endswith("/Actions/EventDestination.SuspendSubscription")
    for _ in range(2):
        assert (await house.client.post(suspend)).status_code == 204
        read = (await house.client.get(made.headers["Location"])).json()
        assert read["Status"]["State"] == "Disabled"
    assert (await house.client.post(resume)).status_code == 204
    read = (await house.client.get(made.headers["Location"])).json()
    assert read["Status"]["State"] == "Enabled"


@pytest.mark.parametrize(
    ("duration", "skipped"),
    [(None, 0), ("PT0S", 2), ("PT0.0S", 2), ("PT1H", 1), ("P3D", 0), ("P999999D", 0)],
)
async def test_resumed_one_gets_what_is_not_too_old(
    house: House, duration: str | None, skipped: int
) -> None:
    made_ = await subscribed(house)
    uri = made_.headers["Location"]
    await house.client.post(f"{uri}/Actions/EventDestination.SuspendSubscription")
    start = (await kept(house, made_)).cursor
    await append(house, made(1, datetime.now(UTC) - timedelta(hours=2)), made(2))
    body = {} if duration is None else {"DeliverBufferedEventDuration": duration}
    answer = await house.client.post(
        f"{uri}/Actions/EventDestination.ResumeSubscription", json=body
    )
    assert answer.status_code == 204, answer.text
    assert (await kept(house, made_)).cursor == start + skipped


@pytest.mark.parametrize(
    ("action", "body", "key"),
    [
        ("Suspend", {"X": 1}, "ActionParameterUnknown"),
        ("Resume", {"X": 1}, "ActionParameterUnknown"),
        (
            "Resume",
            {"DeliverBufferedEventDuration": 5},
            "ActionParameterValueTypeError",
        ),
        *(
            (
                "Resume",
                {"DeliverBufferedEventDuration": text},
                "ActionParameterValueFormatError",
            )
            for text in ("", "5", "P", "PT", "P1Y", "-PT1S", "PT1S\n", "P9999999999D")
        ),
    ],
)
async def test_wrong_parameter_of_an_action_is_refused(
    house: House, action: str, body: Any, key: str
) -> None:
    uri = (await subscribed(house)).headers["Location"]
    target = f"{uri}/Actions/EventDestination.{action}Subscription"
    answer = await house.client.post(target, json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == [key]


async def test_unknown_action_is_refused(house: House) -> None:
    uri = (await subscribed(house)).headers["Location"]
    target = f"{uri}/Actions/EventDestination.Explode"
    assert (await house.client.post(target)).status_code in (404, 405)


async def test_owner_and_managers_change_it_and_nobody_else(house: House) -> None:
    async with (
        account(house, "Operator") as owner,
        account(house, "Operator") as stranger,
        account(house, "ReadOnly") as reader,
    ):
        client, body = house.client, subscription()
        made = await client.post(SUBSCRIPTIONS, json=body, auth=owner)
        assert made.status_code == 201
        uri = made.headers["Location"]
        suspend = f"{uri}/Actions/EventDestination.SuspendSubscription"
        refused = await client.post(SUBSCRIPTIONS, json=body, auth=reader)
        assert refused.status_code == 403
        for other in (stranger, reader):
            assert (await client.get(uri, auth=other)).status_code == 200
            for method, path in (("PATCH", uri), ("DELETE", uri), ("POST", suspend)):
                answer = await client.request(method, path, json={}, auth=other)
                assert answer.status_code == 403, (method, other)
        changed = await client.patch(uri, json={"Context": "a"}, auth=owner)
        assert changed.status_code == 200
        assert (await client.post(suspend, auth=owner)).status_code == 204
        assert (await client.patch(uri, json={"Context": "b"})).status_code == 200
        assert (await client.delete(uri, auth=owner)).status_code == 204


async def test_strangers_do_not_see_it_in_owner_only_mode(house: House) -> None:
    async with (
        account(house, "Operator") as owner,
        account(house, "Operator") as stranger,
        another_api(house, owner_only=True) as client,
    ):
        made = await client.post(SUBSCRIPTIONS, json=subscription(), auth=owner)
        uri = made.headers["Location"]
        assert (await client.get(uri, auth=stranger)).status_code == 404
        assert members(await client.get(SUBSCRIPTIONS, auth=stranger)) == []
        assert members(await client.get(SUBSCRIPTIONS, auth=owner)) == [uri]
        login = LOGIN
        assert members(await client.get(SUBSCRIPTIONS, auth=login)) == [uri]


async def test_collection_takes_no_other_methods(house: House) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        answer = await house.client.request(method, SUBSCRIPTIONS, json={})
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}
    answer = await house.client.get(f"{SERVICE}/Subscriptions?$filter=x")
    assert answer.status_code == 501


async def test_delivery_waits_for_temporal(house: House) -> None:
    async with without_temporal(house) as client:
        answer = await client.post(SUBSCRIPTIONS, json=subscription())
    assert answer.status_code == 201
