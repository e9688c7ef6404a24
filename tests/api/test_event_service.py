"""The EventService: what it says of itself, what may be changed, events to test it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from taskfish.redfish.event_filters import EventFilter
from taskfish.redfish.events import LoggedEvent
from tests.api.answers import message_keys
from tests.api.events import (
    SERVICE,
    SUBMIT,
    SUBSCRIPTIONS,
    TEST,
    forget_subscriptions,
    newest,
    newest_events,
    subscription,
)
from tests.api.sessions import another_api
from tests.house import PASSWORD, USER, House


@pytest.fixture
async def house(house: House) -> AsyncIterator[House]:
    """Give the gateway, and leave no subscription and the service as it was."""
    yield house
    await house.client.patch(SERVICE, json={"ServiceEnabled": True})
    await forget_subscriptions(house)


async def submitted(
    house: House, body: dict[str, Any], uri: str = SUBMIT
) -> LoggedEvent:
    """Submit a test event and return it as it is in the log."""
    before = await newest(house)
    answer = await house.client.post(uri, json=body)
    assert answer.status_code == 204, answer.text
    (found,) = await newest_events(house, before)
    return found


async def test_service_says_what_can_be_subscribed_to(house: House) -> None:
    shown = (await house.client.get(SERVICE)).json()
    assert shown["@odata.type"] == "#EventService.v1_12_0.EventService"
    assert shown["ServiceEnabled"] is True
    assert shown["Status"] == {"State": "Enabled", "Health": "OK"}
    assert shown["EventFormatTypes"] == ["Event"]
    assert {"Base", "ResourceEvent", "TaskEvent"} <= set(shown["RegistryPrefixes"])
    assert {"Task", "ComputerSystem", "Volume"} <= set(shown["ResourceTypes"])
    assert shown["Severities"] == ["OK", "Warning", "Critical"]
    assert shown["ServerSentEventUri"] == f"{SERVICE}/SSE"
    assert shown["SSEFilterPropertiesSupported"]["MetricReportDefinition"] is False
    assert shown["DeliveryRetryAttempts"] == 3
    assert shown["DeliveryRetryIntervalSeconds"] == 30
    assert shown["Subscriptions"] == {"@odata.id": SUBSCRIPTIONS}
    assert {each["target"] for each in shown["Actions"].values()} == {SUBMIT, TEST}


async def test_root_and_its_documents_lead_to_it(house: House) -> None:
    root = (await house.client.get("/redfish/v1/")).json()
    assert root["EventService"] == {"@odata.id": SERVICE}
    odata = (await house.client.get("/redfish/v1/odata")).json()
    assert SERVICE in [each["url"] for each in odata["value"]]
    metadata = (await house.client.get("/redfish/v1/$metadata")).text
    assert "EventDestination.v1_16_0" in metadata


async def test_task_service_says_that_it_tells_of_tasks(house: House) -> None:
    shown = (await house.client.get("/redfish/v1/TaskService")).json()
    assert shown["LifeCycleEventOnTaskStateChange"] is True


async def test_service_is_switched_off_for_every_process(house: House) -> None:
    before = (await house.client.get(SERVICE)).headers["ETag"]
    changed = await house.client.patch(SERVICE, json={"ServiceEnabled": False})
    assert changed.status_code == 200
    assert changed.json()["Status"]["State"] == "Disabled"
    assert changed.headers["ETag"] not in (before, "")
    async with another_api(house) as client:
        shown = await client.get(SERVICE, auth=(USER, PASSWORD))
        assert shown.json()["ServiceEnabled"] is False


async def test_disabled_service_takes_no_subscription_and_no_test(house: House) -> None:
    await house.client.patch(SERVICE, json={"ServiceEnabled": False})
    for uri, body in (
        (SUBSCRIPTIONS, subscription()),
        (SUBMIT, {"MessageId": "TaskEvent.1.0.TaskStarted"}),
        (TEST, {}),
    ):
        answer = await house.client.post(uri, json=body)
        assert answer.status_code == 503
        assert message_keys(answer) == ["ServiceDisabled"]
        assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"ServiceEnabled": "false"}, "PropertyValueTypeError"),
        ({"ServiceEnabled": None}, "PropertyValueTypeError"),
        ({"DeliveryRetryAttempts": 5}, "PropertyNotWritable"),
        ({"ServerSentEventUri": "/x"}, "PropertyNotWritable"),
        ({"Subscriptions": []}, "PropertyNotWritable"),
        ({"Bogus": 1}, "PropertyUnknown"),
        ({}, "NoOperation"),
        ({"@odata.id": SERVICE}, "NoOperation"),
    ],
)
async def test_wrong_change_is_refused(house: House, body: Any, key: str) -> None:
    answer = await house.client.patch(SERVICE, json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == [key]
    assert (await house.client.get(SERVICE)).json()["ServiceEnabled"] is True


async def test_one_of_two_changes_of_a_version_wins(house: House) -> None:
    headers = {"If-Match": (await house.client.get(SERVICE)).headers["ETag"]}
    body = {"ServiceEnabled": False}
    answers = await asyncio.gather(
        *(house.client.patch(SERVICE, json=body, headers=headers) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


async def test_methods_of_the_service_are_told(house: House) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = await house.client.request(method, SERVICE, json={})
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "PATCH"}


async def test_message_of_a_test_is_in_the_log(house: House) -> None:
    found = await submitted(house, {}, TEST)
    record = found.record(0)
    assert record["MessageId"] == "ResourceEvent.1.4.TestMessage"
    assert record["OriginOfCondition"] == {"@odata.id": SERVICE}


async def test_message_of_a_test_takes_no_parameters(house: House) -> None:
    before = await newest(house)
    answer = await house.client.post(TEST, json={"MessageId": "x"})
    assert answer.status_code == 400
    assert message_keys(answer) == ["ActionParameterUnknown"]
    assert await newest(house) == before


async def test_submitted_event_says_what_was_given(house: House) -> None:
    given: dict[str, Any] = {
        "EventId": "my-7",
        "EventTimestamp": "2026-01-02T03:04:05Z",
        "MessageSeverity": "Critical",
        "Severity": "Critical",
        "Message": "It smokes.",
        "MessageId": "Acme.1.0.Smoke",
        "MessageArgs": ["rack7"],
        "EventGroupId": 4,
    }
    origin = "/redfish/v1/Chassis/node1.1"
    more: dict[str, Any] = {"EventType": "StatusChange", "OriginOfCondition": origin}
    found = await submitted(house, given | more)
    link = {"@odata.id": origin}
    record = {"EventType": "StatusChange", "MemberId": "0", "OriginOfCondition": link}
    assert found.record(0) == {**record, **given}
    assert found.event.resource_type == "Chassis"


async def test_known_message_brings_its_text_and_severity(house: House) -> None:
    body = {"MessageId": "TaskEvent.1.7.TaskAborted", "MessageArgs": ["night-1"]}
    record = (await submitted(house, body)).record(0)
    assert record["MessageId"] == "TaskEvent.1.7.TaskAborted"
    assert record["Message"] == "The task night-1 has ended with errors."
    assert record["MessageSeverity"] == "Critical"
    assert "OriginOfCondition" not in record


async def test_submitted_event_passes_the_filters(house: House) -> None:
    origin = "/redfish/v1/Systems/node1.1"
    more = {"OriginOfCondition": origin, "MessageSeverity": "Warning"}
    event = (await submitted(house, {"MessageId": "Acme.1.0.Smoke", **more})).event
    assert EventFilter(origins=(origin,), severities=("Warning",)).matches(event)
    assert EventFilter(registry_prefixes=("Acme",)).matches(event)
    assert not EventFilter(severities=("OK",)).matches(event)
    assert not EventFilter(resource_types=("Task",)).matches(event)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"MessageId": None}, "ActionParameterValueTypeError"),
        ({"MessageId": "TaskStarted"}, "ActionParameterValueFormatError"),
        ({"MessageId": "A.1.0.B" + "x" * 300}, "ActionParameterValueFormatError"),
        ({"EventType": "MetricReport"}, "ActionParameterValueNotInList"),
        ({"EventType": 1}, "ActionParameterValueTypeError"),
        ({"MessageSeverity": "Bad"}, "ActionParameterValueNotInList"),
        ({"MessageArgs": "x"}, "ActionParameterValueTypeError"),
        ({"MessageArgs": [1]}, "ActionParameterValueTypeError"),
        ({"MessageArgs": ["x"] * 21}, "ActionParameterValueOutOfRange"),
        ({"EventTimestamp": "yesterday"}, "ActionParameterValueFormatError"),
        ({"EventTimestamp": "2026-02-30T00:00:00Z"}, "ActionParameterValueFormatError"),
        ({"EventGroupId": -1}, "ActionParameterValueOutOfRange"),
        ({"EventGroupId": 2**63}, "ActionParameterValueOutOfRange"),
        ({"OriginOfCondition": "http://x/"}, "ActionParameterValueFormatError"),
        ({"OriginOfCondition": {"@odata.id": "/"}}, "ActionParameterValueTypeError"),
        ({"Bogus": 1}, "ActionParameterUnknown"),
        ({"Message": "x" * 4097}, "ActionParameterValueFormatError"),
    ],
)
async def test_wrong_parameter_is_refused(house: House, change: Any, key: str) -> None:
    before = await newest(house)
    body = {"MessageId": "TaskEvent.1.0.TaskStarted", **change}
    answer = await house.client.post(SUBMIT, json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == [key]
    assert await newest(house) == before


async def test_submitted_event_needs_a_message(house: House) -> None:
    answer = await house.client.post(SUBMIT, json={})
    assert answer.status_code == 400
    assert message_keys(answer) == ["ActionParameterMissing"]
