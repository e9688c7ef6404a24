"""What comes and goes is told of: accounts, sources, machines; once, and with it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from taskfish.redfish.events import Event
from taskfish.redfish.inventory import Member
from taskfish.store.inventory import Inventory
from taskfish.store.sources import Sources
from tests.api.accounts import ACCOUNTS, account_body
from tests.api.events import SUBSCRIPTIONS, forget_subscriptions, newest, newest_events
from tests.api.events import subscription as subscription_body
from tests.house import SOURCES, House
from tests.subscriber import listening


@pytest.fixture
async def house(house: House) -> AsyncIterator[House]:
    """Give the gateway, and leave no subscription."""
    yield house
    await forget_subscriptions(house)


async def told(house: House, since: int) -> list[tuple[str, str]]:
    """Return key and origin of the events of resources behind a position."""
    events = (each.event for each in await newest_events(house, since))
    return [(key_of(each), each.origin) for each in events if each.task is None]


def key_of(event: Event) -> str:
    """Return a message's key."""
    return event.message.message_id.rpartition(".")[2]


async def test_account_comes_and_goes(house: House) -> None:
    before, body = await newest(house), account_body("ReadOnly")
    uri = f"{ACCOUNTS}/{body['UserName']}"
    for status in (201, 409):
        answer = await house.client.post(ACCOUNTS, json=body)
        assert answer.status_code == status
    await house.client.patch(uri, json={"Enabled": False})
    await house.client.delete(uri)
    await house.client.delete(uri)
    assert await told(house, before) == [
        ("ResourceCreated", uri),
        ("ResourceRemoved", uri),
    ]


async def test_refused_account_is_not_told_of(house: House) -> None:
    before, body = await newest(house), account_body("ReadOnly", Password="short")
    await house.client.post(ACCOUNTS, json=body)
    await house.client.delete(f"{ACCOUNTS}/nobody")
    assert await told(house, before) == []


async def test_source_comes_and_goes_with_its_machines(house: House) -> None:
    uri = f"{SOURCES}/bmc1"
    before = await newest(house)
    assert (await house.client.delete(uri)).status_code == 204
    gone = await told(house, before)
    machines = {f"/redfish/v1/{each}/bmc1.1" for each in ("Systems", "Managers")}
    assert {key for key, _ in gone} == {"ResourceRemoved"}
    assert machines < {origin for _, origin in gone}
    assert gone[-1] == ("ResourceRemoved", uri)

    before = await newest(house)
    host = house.addresses.bmcs[0]
    answer = await house.add_source("bmc1", host, "Redfish", "password")
    assert answer.status_code == 201
    came = await told(house, before)
    assert sorted(came) == sorted(
        ("ResourceCreated", origin) for _, origin in gone if origin != uri
    )
    events = [each.event for each in await newest_events(house, before)]
    of_task = [each for each in events if each.origin == uri]
    assert [key_of(each) for each in of_task] == ["ResourceCreated"]


async def test_source_that_was_never_ready_is_not_told_of(house: House) -> None:
    await house.client.delete(f"{SOURCES}/bmc1")
    before = await newest(house)
    answer = await house.add_source(
        "bmc1", house.addresses.bmcs[0], "Redfish", "wrong-password"
    )
    assert answer.status_code >= 400
    assert await told(house, before) == []


async def test_only_what_differs_of_an_inventory_is_told(house: House) -> None:
    sources, inventory = Sources(house.store), Inventory(house.store)
    record = await sources.get("bmc1")
    assert record is not None

    async def replaced(*ids: str) -> list[tuple[str, str]]:
        before = await newest(house)
        found = [Member(source="bmc1", collection="Chassis", id=each) for each in ids]
        assert await inventory.replace(
            "bmc1", found, uuid=record.uuid, has_accounts=False, has_tasks=True
        )
        return await told(house, before)

    await replaced("1", "2")
    assert await replaced("2", "1") == []
    chassis = "/redfish/v1/Chassis/bmc1"
    assert await replaced("1", "3") == [
        ("ResourceRemoved", f"{chassis}.2"),
        ("ResourceCreated", f"{chassis}.3"),
    ]
    await house.client.delete(f"{SOURCES}/bmc1")


async def test_firmware_of_an_inventory_is_not_told(house: House) -> None:
    before = await newest(house)
    collection = "UpdateService/FirmwareInventory"
    found = [Member(source="bmc1", collection=collection, id="BIOS9")]
    await Inventory(house.store).replace(
        "bmc1", found, uuid=None, has_accounts=False, has_tasks=True
    )
    assert f"/redfish/v1/{collection}/bmc1.BIOS9" not in str(await told(house, before))
    await house.client.delete(f"{SOURCES}/bmc1")


async def test_subscriber_hears_of_what_comes(house: House) -> None:
    """From the POST of a subscription to the POST of its events."""
    async with listening() as listener:
        body = subscription_body(
            Destination=listener.url,
            Context="rack 7",
            ResourceTypes=["ManagerAccount"],
            HttpHeaders=[{"X-Rack": "7"}],
        )
        made: httpx.Response = await house.client.post(SUBSCRIPTIONS, json=body)
        assert made.status_code == 201
        new = account_body("ReadOnly")
        await house.client.post(ACCOUNTS, json=new)
        await house.client.delete(f"{ACCOUNTS}/{new['UserName']}")
        await listener.until(2)
        await house.client.delete(made.headers["Location"])
    assert listener.keys == ["ResourceCreated", "ResourceRemoved"]
    assert listener.posts[0].headers["x-rack"] == "7"
    assert listener.posts[0].body["Context"] == "rack 7"
