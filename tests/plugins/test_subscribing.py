"""How a source is asked for its events, whatever form it takes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import JsonValue, SecretStr

from taskfish.errors import SourceUnreachableError, SubscriptionRefusedError
from taskfish.plugins.subscribing import is_subscribed, subscribe, unsubscribe
from taskfish.redfish.event_receiver import TOKEN_HEADER, EventReceiver
from tests.plugins.adapters import behind, connected, connected_plugin
from tests.plugins.scripted_service import ScriptedService, http, scripted

SERVICE = "/redfish/v1/EventService"
SUBSCRIPTIONS = f"{SERVICE}/Subscriptions"
POST = f"POST {SUBSCRIPTIONS}"
OURS = f"{SUBSCRIPTIONS}/7"
DESTINATION = "https://gateway.example.com/southbound/events/rack7"
RECEIVER = EventReceiver(destination=DESTINATION, token=SecretStr("s3cret"))
TASK = "/redfish/v1/TaskService/Tasks/1"


@pytest.fixture
async def bmc() -> AsyncIterator[ScriptedService]:
    """Give a BMC with an EventService that takes every subscription."""
    async with scripted() as service:
        service.on(f"GET {SERVICE}", http(200, {"ServiceEnabled": True}))
        service.on(f"GET {SUBSCRIPTIONS}", http(200, {"Members": []}))
        service.on(POST, http(201, None, Location=OURS))
        yield service


def sent(service: ScriptedService) -> list[dict[str, Any]]:
    """Return the subscriptions that were asked for."""
    return [asked.body for asked in service.asked if asked.line.startswith("POST")]


def shown(*destinations: str) -> dict[str, JsonValue]:
    members: list[JsonValue] = [
        {"@odata.id": f"{SUBSCRIPTIONS}/{number}"}
        for number in range(1, len(destinations) + 1)
    ]
    return {"Members": members}


async def test_token_goes_in_a_header_where_that_is_taken(
    bmc: ScriptedService,
) -> None:
    async with connected(bmc.url) as plugin:
        assert await subscribe(plugin, RECEIVER) == OURS
    (body,) = sent(bmc)
    assert body == {
        "Name": "Taskfish",
        "Destination": DESTINATION,
        "Protocol": "Redfish",
        "Context": "taskfish",
        "HttpHeaders": [{TOKEN_HEADER: "s3cret"}],
    }


async def test_registries_are_asked_for_where_they_are_known(
    bmc: ScriptedService,
) -> None:
    known: JsonValue = {"RegistryPrefixes": ["Base", "TaskEvent"]}
    bmc.on(f"GET {SERVICE}", http(200, known))
    async with connected(bmc.url) as plugin:
        await subscribe(plugin, RECEIVER)
    assert sent(bmc)[0]["RegistryPrefixes"] == ["TaskEvent"]


async def test_bmc_that_takes_no_headers_gets_the_token_as_context(
    bmc: ScriptedService,
) -> None:
    bmc.on(POST, http(400), http(400), http(201, None, Location=OURS))
    async with connected(bmc.url) as plugin:
        assert await subscribe(plugin, RECEIVER) == OURS
    assert [body["Context"] for body in sent(bmc)] == ["taskfish", "s3cret", "s3cret"]
    assert sent(bmc)[-1]["EventTypes"] == ["StatusChange"]


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_bmc_without_events_is_left_alone(
    bmc: ScriptedService, status: int
) -> None:
    bmc.on(f"GET {SERVICE}", http(status, {"error": {}}))
    async with connected(bmc.url) as plugin:
        with pytest.raises(SubscriptionRefusedError):
            await subscribe(plugin, RECEIVER)
    assert sent(bmc) == []


@pytest.mark.parametrize("status", [400, 405, 409, 500, 501])
async def test_refusal_is_an_error_of_ours(bmc: ScriptedService, status: int) -> None:
    bmc.on(POST, http(status, {"error": {}}))
    async with connected(bmc.url) as plugin:
        with pytest.raises(SubscriptionRefusedError):
            await subscribe(plugin, RECEIVER)
    assert len(sent(bmc)) == (3 if status == 400 else 1)


async def test_service_that_is_off_is_not_asked(bmc: ScriptedService) -> None:
    bmc.on(f"GET {SERVICE}", http(200, {"ServiceEnabled": False}))
    async with connected(bmc.url) as plugin:
        with pytest.raises(SubscriptionRefusedError):
            await subscribe(plugin, RECEIVER)


async def test_what_an_earlier_try_left_goes_first(bmc: ScriptedService) -> None:
    bmc.on(f"GET {SUBSCRIPTIONS}", http(200, shown("other", DESTINATION)))
    other: JsonValue = {"Destination": "https://elsewhere/events"}
    bmc.on(f"GET {SUBSCRIPTIONS}/1", http(200, other))
    bmc.on(f"GET {SUBSCRIPTIONS}/2", http(200, {"Destination": DESTINATION}))
    bmc.on(f"DELETE {SUBSCRIPTIONS}/2", http(204))
    async with connected(bmc.url) as plugin:
        await subscribe(plugin, RECEIVER)
    changes = [line for line in bmc.lines() if not line.startswith("GET")]
    assert changes == [f"DELETE {SUBSCRIPTIONS}/2", POST]


async def test_subscription_made_by_a_task_is_waited_for(bmc: ScriptedService) -> None:
    over: JsonValue = {
        "@odata.type": "#Task.v1_7_4.Task",
        "TaskState": "Completed",
        "Links": {"CreatedResources": [{"@odata.id": OURS}]},
    }
    bmc.on(POST, http(202, None, Location=TASK))
    bmc.on(f"GET {TASK}", http(200, over))
    async with connected(bmc.url) as plugin:
        assert await subscribe(plugin, RECEIVER) == OURS


async def test_subscription_without_a_name_is_refused(bmc: ScriptedService) -> None:
    bmc.on(POST, http(201, {}))
    async with connected(bmc.url) as plugin:
        with pytest.raises(SubscriptionRefusedError):
            await subscribe(plugin, RECEIVER)


@pytest.mark.parametrize(
    ("answer", "there"),
    [
        (http(200, {"Destination": DESTINATION}), True),
        (http(200, {"Destination": "https://elsewhere/events"}), False),
        (http(404), False),
    ],
)
async def test_subscription_is_there_only_if_it_is_ours(
    bmc: ScriptedService, answer: bytes, there: bool
) -> None:
    bmc.on(f"GET {OURS}", answer)
    async with connected(bmc.url) as plugin:
        assert await is_subscribed(plugin, OURS, DESTINATION) is there


async def test_bmc_that_cannot_say_has_lost_nothing(bmc: ScriptedService) -> None:
    bmc.on(f"GET {OURS}", http(500, {"error": {}}))
    async with connected(bmc.url) as plugin:
        with pytest.raises(SourceUnreachableError):
            await is_subscribed(plugin, OURS, DESTINATION)


async def test_plugin_takes_it_at_a_call_of_its_own() -> None:
    where = f"https://10.24.0.4{OURS}"
    async with scripted() as service:
        service.on("POST /ODIM/v1/Subscriptions", http(201, None, Location=where))
        service.on("DELETE /ODIM/v1/Subscriptions", http(200, {}))
        service.on("GET /ODIM/v1/EventService/Subscriptions/7", http(200, {}))
        async with behind(service.url) as plugin:
            assert await subscribe(plugin, RECEIVER) == OURS
            assert await is_subscribed(plugin, OURS, DESTINATION)
            await unsubscribe(plugin, OURS)
    assert sent(service)[0]["Location"] == ""
    assert service.asked[-1].body["Location"] == where


async def test_plugin_itself_has_no_tasks_to_tell_of() -> None:
    async with scripted() as service, connected_plugin(service.url) as plugin:
        with pytest.raises(SubscriptionRefusedError):
            await subscribe(plugin, RECEIVER)
        assert service.asked == []
