"""Reads of what the sources have: northbound names, and only what may go north."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import JsonValue

from taskfish.plugins.emulator import Emulator, serve
from tests.api.answers import members, message_keys
from tests.house import FAST, SOURCES, House
from tests.kept_bytes import database_bytes, raw_history, readable_history
from tests.plugins.scripted_service import ScriptedService, http, scripted

ROOT = "/redfish/v1"
BOTH = pytest.mark.parametrize("machine", ["node1", "bmc1"])
COLLECTIONS = (
    "Systems",
    "Chassis",
    "Managers",
    "UpdateService/FirmwareInventory",
    "UpdateService/SoftwareInventory",
)


def links_in(body: JsonValue) -> Iterator[str]:
    """Yield every @odata.id and action target in a body."""
    if isinstance(body, list):
        for item in body:
            yield from links_in(item)
    if isinstance(body, dict):
        for key, value in body.items():
            if key in ("@odata.id", "target") and isinstance(value, str):
                yield value
            yield from links_in(value)


def page(uri: str, *uris: str, **more: JsonValue) -> dict[str, JsonValue]:
    """Return the body of a collection, as a source might answer it."""
    found: list[JsonValue] = [{"@odata.id": each} for each in uris]
    body: dict[str, JsonValue] = {"@odata.id": uri, "Name": "Some"}
    return body | {"Members": found, "Members@odata.count": len(found)} | more


@asynccontextmanager
async def odd_source(house: House, name: str) -> AsyncIterator[ScriptedService]:
    """Add a Redfish service that has one System and answers what a test wants."""
    async with scripted() as service:
        root: JsonValue = {
            "@odata.id": ROOT,
            "Id": "RootService",
            "RedfishVersion": "1.6.0",
        }
        service.on(f"GET {ROOT}", http(200, root))
        service.on(f"GET {ROOT}/Systems", http(200, page("x", f"{ROOT}/Systems/1")))
        system: JsonValue = {"@odata.id": f"{ROOT}/Systems/1", "Id": "1", "Name": "odd"}
        service.on(f"GET {ROOT}/Systems/1", http(200, system))
        final = await house.add_source(name, service.url, "Redfish", "password")
        assert final.status_code == 201, final.text
        yield service
    assert (await house.client.delete(f"{SOURCES}/{name}")).status_code == 204


@BOTH
async def test_member_has_its_northbound_name(house: House, machine: str) -> None:
    for name in ("Systems", "Chassis", "Managers"):
        uri = f"{ROOT}/{name}/{machine}.1"
        body = (await house.client.get(uri)).json()
        assert (body["@odata.id"], body["Id"]) == (uri, f"{machine}.1")
    system = (await house.client.get(f"{ROOT}/Systems/{machine}.1")).json()
    assert system["Links"]["ManagedBy"] == [{"@odata.id": uri}]
    assert system["Actions"]["#ComputerSystem.Reset"]["target"] == (
        f"{ROOT}/Systems/{machine}.1/Actions/ComputerSystem.Reset"
    )
    assert system["HostName"] == machine


@BOTH
async def test_every_link_of_a_source_leads_to_itself(
    house: House, machine: str
) -> None:
    start = [f"{ROOT}/{name}/{machine}.1" for name in ("Systems", "Chassis")]
    pending, seen = set(start), set[str]()
    while pending:
        uri = pending.pop()
        seen.add(uri)
        response = await house.client.get(uri)
        assert response.status_code == (405 if "/Actions/" in uri else 200), uri
        found = {link for link in links_in(response.json()) if "#" not in link}
        found -= {f"{uri}/Oem/Taskfish/Tasks"}
        assert all(f"/{machine}." in link for link in found), uri
        pending |= found - seen
    assert f"{ROOT}/Managers/{machine}.1/VirtualMedia/CD1" in seen
    assert f"{ROOT}/Systems/{machine}.1/Storage/1/Drives/3" in seen


@BOTH
async def test_text_that_looks_like_a_link_stays(house: House, machine: str) -> None:
    uri = f"{ROOT}/Systems/{machine}.1"
    text = f"see {ROOT}/Systems/1 or /ODIM/v1/Systems/1, ODIM, {machine}.1"
    await house.final(await house.change("PATCH", uri, {"AssetTag": text}))
    body = (await house.client.get(uri)).json()
    sent = house.emulator.executions(machine)[0].body
    assert body["AssetTag"] == text
    assert sent == {"AssetTag": text}


async def test_links_of_a_request_go_south_as_the_sources_own(house: House) -> None:
    await house.final(await house.create_volume("bmc1.1"))
    sent = house.emulator.executions("bmc1")[0]
    assert sent.uri == f"{ROOT}/Systems/1/Storage/1/Volumes"
    assert list(links_in(sent.body)) == [f"{ROOT}/Systems/1/Storage/1/Drives/1"]


async def test_dead_links_are_dropped_and_counts_corrected(house: House) -> None:
    uri = f"{ROOT}/Systems/1/Parts"
    body = page(
        uri,
        f"{ROOT}/Systems/1/Parts/1",
        f"{ROOT}/Fabrics/1",
        f"{ROOT}/Systems/1/Parts/2",
        f"{ROOT}/JsonSchemas/Part",
        Description=f"More at {ROOT}/Fabrics/1",
        Oem={"Acme": {"Fabric": {"@odata.id": f"{ROOT}/Fabrics/1"}, "Slot": 3}},
        Actions={
            "#Part.Blink": {
                "target": f"{uri}/Actions/Part.Blink",
                "@Redfish.ActionInfo": f"{ROOT}/Systems/1/BlinkInfo",
            }
        },
    )
    body["Members@odata.nextLink"] = f"{uri}?$skip=4"
    async with odd_source(house, "odd") as service:
        service.on(f"GET {uri}", http(200, body))
        answer = (await house.client.get(f"{ROOT}/Systems/odd.1/Parts")).json()
    north = f"{ROOT}/Systems/odd.1/Parts"
    links = [member["@odata.id"] for member in answer["Members"]]
    assert links == [f"{north}/1", f"{north}/2"]
    assert answer["Members@odata.count"] == 2
    assert answer["Members@odata.nextLink"] == f"{north}?$skip=4"
    assert answer["Description"] == f"More at {ROOT}/Fabrics/1"
    assert answer["Oem"] == {"Acme": {"Slot": 3}}
    blink = answer["Actions"]["#Part.Blink"]
    assert blink["target"] == f"{north}/Actions/Part.Blink"
    assert blink["@Redfish.ActionInfo"] == f"{ROOT}/Systems/odd.1/BlinkInfo"


async def test_only_named_headers_of_a_source_go_north(house: House) -> None:
    async with odd_source(house, "heads") as service:
        headers = {
            "ETag": 'W/"7"',
            "Allow": "GET, PATCH, POST",
            "Set_Cookie": "session=1",
            "X_Auth_Token": "secret",
            "Server": "odd/1.0",
            "Link": f"<{ROOT}/JsonSchemas/ComputerSystem>; rel=describedby",
            "OData_Version": "4.01",
        }
        body: JsonValue = {"@odata.id": f"{ROOT}/Systems/1", "Id": "1"}
        service.on(f"GET {ROOT}/Systems/1", http(200, body, **headers))
        service.on(f"GET {ROOT}/Systems/1/Oem/Part", http(200, body, **headers))
        response = await house.client.get(f"{ROOT}/Systems/heads.1")
        unknown = await house.client.get(f"{ROOT}/Systems/heads.1/Oem/Part")
    passed = {"content-length", "content-type", "etag", "allow"}
    assert response.headers["ETag"] == 'W/"7"'
    assert response.headers["Allow"] == "GET, HEAD, PATCH, DELETE, PUT"
    assert unknown.headers["Allow"] == "GET, PATCH, POST"
    assert response.headers["OData-Version"] == "4.0"
    ours = {"odata-version", "cache-control", "x-request-id"}
    assert response.headers.keys() - passed == ours


async def test_error_of_a_source_passes_through(house: House) -> None:
    async with odd_source(house, "errs") as service:
        error: JsonValue = {"error": {"code": "Acme.1.0.Gone", "message": "It went."}}
        service.on(f"GET {ROOT}/Systems/1/Fan", http(410, error))
        service.on(f"GET {ROOT}/Systems/1/Text", http(200, b"plain words"))
        service.on(f"GET {ROOT}/Systems/1/Empty", http(200))
        gone = await house.client.get(f"{ROOT}/Systems/errs.1/Fan")
        missing = await house.client.get(f"{ROOT}/Systems/errs.1/Nothing")
        text = await house.client.get(f"{ROOT}/Systems/errs.1/Text")
        empty = await house.client.get(f"{ROOT}/Systems/errs.1/Empty")
    assert (gone.status_code, gone.json()) == (410, error)
    assert missing.status_code == 404
    assert (text.status_code, text.text) == (200, "plain words")
    assert (empty.status_code, empty.content) == (200, b"")


@BOTH
async def test_etag_of_a_source_goes_north(house: House, machine: str) -> None:
    response = await house.client.get(f"{ROOT}/Systems/{machine}.1")
    etag = response.json()["@odata.etag"]
    assert response.headers.get("ETag", etag) == etag
    assert {"GET", "PATCH"} <= set(response.headers["Allow"].split(", "))


async def test_head_is_get_without_a_body(house: House) -> None:
    for uri in (f"{ROOT}/Systems", f"{ROOT}/Systems/bmc1.1", f"{ROOT}/TaskService"):
        get, head = await house.client.get(uri), await house.client.head(uri)
        assert head.status_code == get.status_code == 200
        assert head.headers["Allow"] == get.headers["Allow"]


async def test_collections_are_there_while_a_source_is_not(house: House) -> None:
    for target in ("bmc1", "plugin"):
        house.emulator.set_modes(target, vanish=True)
    requests = sum(house.emulator.report(None, None).requests.values())
    begun = time.monotonic()
    for name in COLLECTIONS:
        found = members(await house.client.get(f"{ROOT}/{name}"))
        assert all(uri.startswith(f"{ROOT}/{name}/") for uri in found)
    systems = members(await house.client.get(f"{ROOT}/Systems"))
    took = time.monotonic() - begun
    machines = ("bmc1", "node1", "node2")
    assert systems == [f"{ROOT}/Systems/{name}.1" for name in machines]
    assert took < 1
    assert sum(house.emulator.report(None, None).requests.values()) == requests


@BOTH
async def test_source_out_of_reach_is_503(house: House, machine: str) -> None:
    target = "plugin" if machine == "node1" else machine
    house.emulator.set_modes(target, vanish=True)
    response = await house.client.get(f"{ROOT}/Systems/{machine}.1")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert message_keys(response) == ["CouldNotEstablishConnection"]
    house.emulator.set_modes(target, vanish=False)
    again = await house.client.get(f"{ROOT}/Systems/{machine}.1")
    assert again.status_code == 200


async def test_host_that_is_gone_is_503(house: House) -> None:
    async with serve(Emulator(systems=0, bmcs=1, modes=FAST)) as addresses:
        await house.add_source("gone", addresses.bmcs[0], "Redfish", "password")
    responses = await asyncio.gather(
        house.client.get(f"{ROOT}/Systems/gone.1"),
        house.client.get(f"{ROOT}/Systems/bmc1.1"),
    )
    assert [response.status_code for response in responses] == [503, 200]
    assert message_keys(responses[0]) == ["CouldNotEstablishConnection"]
    systems = members(await house.client.get(f"{ROOT}/Systems"))
    assert f"{ROOT}/Systems/gone.1" in systems
    await house.client.delete(f"{SOURCES}/gone")


async def test_silent_source_is_503_within_its_time(house: House) -> None:
    house.emulator.set_modes("bmc1", read_delay=30)
    begun = time.monotonic()
    response = await house.client.get(f"{ROOT}/Systems/bmc1.1")
    assert response.status_code == 503
    assert time.monotonic() - begun < 6


async def test_refused_credentials_are_500_not_401(house: House) -> None:
    for machine in ("node1", "bmc1"):
        house.emulator.machines[machine].accounts.by_id["1"].password = "changed"
        response = await house.client.get(f"{ROOT}/Systems/{machine}.1")
        assert response.status_code == 500
        assert message_keys(response) == ["ResourceAtUriUnauthorized"]
        assert "WWW-Authenticate" not in response.headers


@BOTH
async def test_accounts_of_a_bmc_appear_below_its_manager(
    house: House, machine: str
) -> None:
    uri = f"{ROOT}/Managers/{machine}.1/RemoteAccountService"
    service = (await house.client.get(uri)).json()
    account = (await house.client.get(f"{uri}/Accounts/1")).json()
    assert service["@odata.id"] == uri
    assert service["Accounts"] == {"@odata.id": f"{uri}/Accounts"}
    assert account["Links"]["Role"]["@odata.id"] == f"{uri}/Roles/Administrator"
    own = (await house.client.get(f"{ROOT}/AccountService/Accounts")).json()
    assert own["Members"] == [{"@odata.id": f"{ROOT}/AccountService/Accounts/admin"}]


@BOTH
async def test_password_of_a_new_account_is_kept_nowhere(
    house: House, machine: str
) -> None:
    uri = f"{ROOT}/Managers/{machine}.1/RemoteAccountService/Accounts"
    # A new worker: the one that has just added the source knows no accounts of it yet.
    await house.stop_worker()
    await house.start_worker()
    secret = f"swordfish-of-{machine}"
    body: dict[str, Any] = {
        "UserName": "guest",
        "Password": secret,
        "RoleId": "Operator",
    }
    accepted = await house.change("POST", uri, body)
    during = database_bytes(house)
    final = await house.final(accepted)
    task = await house.task(accepted)
    handle = house.workflow(accepted)
    assert final.status_code == 201, final.text
    assert final.json()["UserName"] == "guest"
    assert final.headers["Location"] == f"{uri}/2"
    account = house.emulator.machines[machine].accounts.by_id["2"]
    assert account.password == secret
    assert json.loads(task["Payload"]["JsonBody"])["UserName"] == "guest"
    assert secret not in json.dumps(task)
    assert b"guest" in await readable_history(house, handle)
    for kept in (
        await raw_history(house, handle),
        await readable_history(house, handle),
        during,
        database_bytes(house),
    ):
        assert secret.encode() not in kept
    assert b"guest" not in await raw_history(house, handle)


async def test_password_in_an_image_uri_is_kept_nowhere(house: House) -> None:
    image = "http://user:swordfish@images/bmc-9.9.9.bin"
    targets = [f"{ROOT}/UpdateService/FirmwareInventory/bmc1.BMC"]
    body: Any = {"ImageURI": image, "Targets": targets}
    uri = f"{ROOT}/UpdateService/Actions/UpdateService.SimpleUpdate"
    accepted = await house.change("POST", uri, body)
    task = await house.ended(accepted)
    sent = house.emulator.executions("bmc1")[0].body
    assert isinstance(sent, dict)
    assert sent["ImageURI"] == image
    assert "swordfish" not in json.dumps(task)
    handle = house.workflow(accepted)
    assert b"swordfish" not in await readable_history(house, handle)
    assert b"swordfish" not in database_bytes(house)


async def test_many_reads_share_a_source_fairly(house: House) -> None:
    uris = [f"{ROOT}/Systems/{name}.1" for name in ("node1", "node2", "bmc1")] * 10
    responses: list[httpx.Response] = await asyncio.gather(
        *(house.client.get(uri) for uri in uris)
    )
    assert {response.status_code for response in responses} == {200}
    assert house.emulator.report(None, None).peaks["bmc1"] <= 4
