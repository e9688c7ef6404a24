"""Sources over TLS and at local addresses: what their tasks and their options say."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from taskfish.plugins.emulator import Emulator, serve
from taskfish.plugins.trust import fingerprint_of
from tests.api.answers import message_keys
from tests.conftest import KEY
from tests.house import FAST, SOURCES, House, open_house, source_body
from tests.plugins.certificates import self_signed

OTHER = ":".join(["AB"] * 32)


@asynccontextmanager
async def bmc_over_tls(pem_and_tls: tuple[str, ssl.SSLContext]) -> AsyncIterator[str]:
    """Give the URL of a BMC of its own, served with this certificate."""
    emulator = Emulator(systems=0, bmcs=1, modes=FAST)
    async with serve(emulator, tls=pem_and_tls[1]) as addresses:
        yield addresses.bmcs[0]
        assert emulator.executions() == []


def pin_of(pem: str) -> str:
    return fingerprint_of(ssl.PEM_cert_to_DER_cert(pem))


async def add(house: House, url: str, **options: Any) -> httpx.Response:
    """Add a source and return its final answer."""
    return await house.add_source("rack9", url, "Redfish", "password", options)


async def changed(house: House, **options: Any) -> httpx.Response:
    return await house.client.patch(
        f"{SOURCES}/rack9", json={"Oem": {"Taskfish": options}}
    )


async def shown(house: House) -> Any:
    answer = await house.client.get(f"{SOURCES}/rack9")
    return answer.json()["Oem"]["Taskfish"]


async def test_pinned_bmc_is_added_and_its_pin_shown(house: House) -> None:
    made = self_signed("bmc.example")
    pin = pin_of(made[0])
    async with bmc_over_tls(made) as url:
        final = await add(house, url, Fingerprint=pin.replace(":", "").lower())
        assert final.status_code == 201, final.text
        assert (await shown(house))["Fingerprint"] == pin
        system = await house.client.get("/redfish/v1/Systems/rack9.1")
        assert system.status_code == 200


async def test_wrong_pin_ends_the_task_and_says_why(house: House) -> None:
    made = self_signed("127.0.0.1")
    async with bmc_over_tls(made) as url:
        body = source_body("rack9", url, "Redfish", "password", {"Fingerprint": OTHER})
        accepted = await house.client.post(SOURCES, json=body)
        task = await house.ended(accepted)
        final = await house.final(accepted)
    assert task["TaskState"] == "Exception"
    assert "check Fingerprint" in final.text
    assert pin_of(made[0]) in final.text
    assert (await house.client.get(f"{SOURCES}/rack9")).status_code == 404


async def test_certificate_is_verified_unless_told_otherwise(house: House) -> None:
    made = self_signed("127.0.0.1")
    async with bmc_over_tls(made) as url:
        refused = await add(house, url)
        assert "certificate that is not trusted" in refused.text
        trusted = await add(house, url, CACertificate=made[0])
        assert trusted.status_code == 201, trusted.text


async def test_changed_pin_holds_at_once(house: House) -> None:
    made = self_signed("127.0.0.1")
    async with bmc_over_tls(made) as url:
        assert (await add(house, url, CACertificate=made[0])).status_code == 201
        assert (await changed(house, Fingerprint=OTHER)).status_code == 200
        async with house_reads_fresh(house) as read:
            assert (await read()).status_code == 503
        assert (await changed(house, Fingerprint=pin_of(made[0]))).status_code == 200
        async with house_reads_fresh(house) as read:
            assert (await read()).status_code == 200
        assert (await changed(house, Fingerprint=None)).status_code == 200
        assert "Fingerprint" not in await shown(house)


@asynccontextmanager
async def house_reads_fresh(house: House) -> AsyncIterator[Any]:
    """Give a read of the source's system that knows of the newest options."""
    app: Any = house.client._transport
    connections = app.app.state.gateway.connections
    async with connections.open("rack9", fresh=True):
        pass

    async def read() -> httpx.Response:
        return await house.client.get("/redfish/v1/Systems/rack9.1/Bios")

    yield read


@pytest.mark.parametrize(
    "value", ["", "ab", "ab" * 20, "ab" * 33, "zz" * 32, f"sha256:{'ab' * 32}"]
)
async def test_what_is_no_fingerprint_is_400(house: House, value: str) -> None:
    options = {"Fingerprint": value}
    body = source_body("rack9", "https://bmc.example", "Redfish", "x", options)
    answer = await house.client.post(SOURCES, json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == ["PropertyValueFormatError"]
    change = {"Oem": {"Taskfish": options}}
    answer = await house.client.patch(f"{SOURCES}/bmc1", json=change)
    assert answer.status_code == 400
    assert message_keys(answer) == ["PropertyValueFormatError"]


@pytest.mark.parametrize("value", [1, True, ["ab" * 32], {"SHA256": "ab" * 32}])
async def test_fingerprint_of_the_wrong_type_is_400(house: House, value: Any) -> None:
    change = {"Oem": {"Taskfish": {"Fingerprint": value}}}
    answer = await house.client.patch(f"{SOURCES}/bmc1", json=change)
    assert answer.status_code == 400
    assert message_keys(answer) == ["PropertyValueTypeError"]


async def test_fingerprint_of_a_plain_source_is_400(house: House) -> None:
    options = {"Fingerprint": OTHER}
    body = source_body("rack9", "http://bmc.example", "Redfish", "x", options)
    answer = await house.client.post(SOURCES, json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == ["PropertyValueConflict"]
    change = {"Oem": {"Taskfish": options}}
    answer = await house.client.patch(f"{SOURCES}/bmc1", json=change)
    assert message_keys(answer) == ["PropertyValueConflict"]


@pytest.fixture(scope="module")
async def strict_house(
    temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Give a gateway as in production: local addresses are not reached."""
    folder = tmp_path_factory.mktemp("strict")
    async with open_house(temporal, folder, KEY, allow_local_addresses=False) as opened:
        yield opened


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1"])
async def test_source_at_this_machine_ends_in_exception(
    strict_house: House, host: str
) -> None:
    house = strict_house
    url = house.addresses.bmcs[0].replace("127.0.0.1", host)
    body = source_body("rack9", url, "Redfish", "password")
    accepted = await house.client.post(SOURCES, json=body)
    task = await house.ended(accepted)
    final = await house.final(accepted)
    assert task["TaskState"] == "Exception"
    assert "TASKFISH_ALLOW_LOCAL_ADDRESSES" in final.text
    assert "Retry-After" not in final.headers
    assert (await house.client.get(f"{SOURCES}/rack9")).status_code == 404
    traffic = house.emulator.report(None, None)
    assert traffic.connections["bmc1"] == 0


async def test_refused_address_is_not_tried_again(
    strict_house: House, tmp_path: Path
) -> None:
    """A deadline of three seconds would pass if the refusal could be retried."""
    house = strict_house
    body = source_body("rack9", "https://169.254.169.254", "Redfish", "password")
    accepted = await house.client.post(SOURCES, json=body)
    await house.ended(accepted)
    history = await house.workflow(accepted).fetch_history()
    scheduled = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert scheduled.count("admit_source") == 1
