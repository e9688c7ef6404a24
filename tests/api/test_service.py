"""The service as a whole: its root, its documents, its signs of life."""

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from xml.etree import ElementTree

import httpx
import pytest
from pydantic import JsonValue
from sqlalchemy import select
from temporalio.client import Client

from api.app import create_app
from taskfish.redfish.metadata import namespaces_in
from taskfish.store.tables import secret_bodies
from tests.api.answers import members, message_keys
from tests.house import PASSWORD, TASKS, USER, House, source_body
from tests.plugins.faulty_socket import refused

ROOT = "/redfish/v1"
METADATA = f"{ROOT}/$metadata"
RESET = f"{ROOT}/Systems/node1.1/Actions/ComputerSystem.Reset"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def links_in(body: JsonValue) -> Iterator[str]:
    """Yield every link to a resource in a body."""
    if isinstance(body, list):
        for item in body:
            yield from links_in(item)
    if isinstance(body, dict):
        for key, value in body.items():
            if key == "@odata.id" and isinstance(value, str):
                yield value.partition("#")[0]
            # What another test's task has created is not there any more.
            if key != "CreatedResources":
                yield from links_in(value)


async def walked(client: httpx.AsyncClient) -> dict[str, httpx.Response]:
    """Return the answer of every resource that links lead to from the root.

    What tasks have created may be gone since.
    """
    pending, found = {f"{ROOT}/"}, dict[str, httpx.Response]()
    while pending:
        uri = pending.pop()
        found[uri] = await client.get(uri)
        assert found[uri].status_code == 200, f"{uri}: {found[uri].text}"
        body = found[uri].json()
        if uri.startswith(f"{TASKS}/"):
            body.pop("Links", None)
        pending |= set(links_in(body)) - found.keys()
    return found


@asynccontextmanager
async def without_temporal(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a second API, for which Temporal is out of reach."""
    with refused() as url:
        temporal = await Client.connect(
            url.removeprefix("http://"),
            data_converter=house.temporal.data_converter,
            lazy=True,
        )
        app = create_app(house.settings, temporal)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=transport, base_url="http://gateway", auth=(USER, PASSWORD)
            ) as client,
        ):
            yield client


async def test_metadata_lists_every_type_that_is_returned(house: House) -> None:
    final = await house.final(await house.create_volume("bmc1.1"))
    failed = await house.final(await house.change("PUT", f"{ROOT}/Systems/node1.1", {}))
    missing = await house.client.get(f"{ROOT}/Systems/bmc1.1/Nothing")
    answers = await walked(house.client)
    bodies = [answer.json() for answer in (final, failed, missing, *answers.values())]
    document = ElementTree.fromstring((await house.client.get(METADATA)).content)
    listed = [
        element.attrib["Namespace"]
        for element in document.iter()
        if element.tag.endswith("}Include")
    ]
    returned = set().union(*map(namespaces_in, bodies))
    assert returned <= set(listed)
    assert len(listed) == len(set(listed))
    for uri in (f"{ROOT}/Systems/node2.1/Bios", f"{ROOT}/TaskService/Tasks"):
        assert uri in answers


async def test_every_resource_is_well_formed(house: House) -> None:
    await house.ended(await house.reset("node1.1"))
    for uri, answer in (await walked(house.client)).items():
        body = answer.json()
        assert body["@odata.id"] == uri
        assert body["@odata.type"].startswith("#")
        assert body["Name"]
        assert ("Members" in body) != ("Id" in body)
        assert answer.headers["OData-Version"] == "4.0"
        assert answer.headers["Content-Type"].startswith("application/json")
        assert {"GET", "HEAD"} <= set(answer.headers["Allow"].split(", "))
        head = await house.client.head(uri)
        assert (head.status_code, head.headers["Allow"]) == (
            200,
            answer.headers["Allow"],
        )


async def test_times_are_redfish_times(house: House) -> None:
    task = await house.ended(await house.reset("bmc1.1"))
    service = (await house.client.get(f"{ROOT}/TaskService")).json()
    for text in (task["StartTime"], task["EndTime"], service["DateTime"]):
        assert TIME.fullmatch(text)
    assert task["StartTime"] <= task["EndTime"]


async def test_metadata_is_valid_for_a_csdl_reader(house: House) -> None:
    response = await house.client.get(METADATA)
    document = ElementTree.fromstring(response.content)
    references = [e for e in document.iter() if e.tag.endswith("}Reference")]
    container = next(e for e in document.iter() if e.tag.endswith("}EntityContainer"))
    listed = [
        each.attrib["Namespace"]
        for each in document.iter()
        if each.tag.endswith("}Include")
    ]
    assert response.headers["Content-Type"].startswith("application/xml")
    namespace, _, name = container.attrib["Extends"].rpartition(".")
    assert namespace in listed
    assert name == "ServiceContainer"
    assert all(e.attrib["Uri"].endswith("_v1.xml") for e in references)


@pytest.mark.parametrize(
    "uri",
    ["/redfish", ROOT, f"{ROOT}/", f"{ROOT}/odata", METADATA, "/healthz", "/readyz"],
)
async def test_first_steps_need_no_login(house: House, uri: str) -> None:
    for method in ("GET", "HEAD"):
        request = house.client.build_request(method, uri)
        response = await house.client.send(request, auth=None)
        assert response.status_code == 200


@pytest.mark.parametrize(
    "uri",
    [
        f"{ROOT}/Systems",
        f"{ROOT}/TaskService",
        f"{ROOT}/TaskService/Tasks/x",
        f"{ROOT}/TaskService/TaskMonitors/x",
        f"{ROOT}/AggregationService/AggregationSources",
        f"{ROOT}/UpdateService",
        f"{ROOT}/Nothing",
        "/openapi.json",
        "/docs",
        "/",
        "/metrics",
    ],
)
async def test_all_else_needs_a_login(house: House, uri: str) -> None:
    response = await house.client.send(
        house.client.build_request("GET", uri), auth=None
    )
    assert response.status_code == 401
    assert message_keys(response) == ["AccessUnauthorized"]


async def test_versions_lead_to_the_root(house: House) -> None:
    versions = (await house.client.get("/redfish")).json()
    root = (await house.client.get(versions["v1"])).json()
    again = (await house.client.get(ROOT)).json()
    assert versions == {"v1": f"{ROOT}/"}
    assert root == again
    assert root["@odata.id"] == f"{ROOT}/"
    assert root["Tasks"] == {"@odata.id": f"{ROOT}/TaskService"}
    assert root["Systems"] == {"@odata.id": f"{ROOT}/Systems"}
    sessions = {"@odata.id": f"{ROOT}/SessionService/Sessions"}
    assert root["Links"]["Sessions"] == sessions


async def test_odata_document_lists_what_the_root_links_to(house: House) -> None:
    document = (await house.client.get(f"{ROOT}/odata")).json()
    urls = {entry["url"] for entry in document["value"]}
    root = (await house.client.get(ROOT)).json()
    assert document["@odata.context"] == METADATA
    assert urls == set(links_in(root))


async def test_connection_methods_are_redfish_and_odim(house: House) -> None:
    uri = f"{ROOT}/AggregationService/ConnectionMethods"
    assert sorted(members(await house.client.get(uri))) == [
        f"{uri}/ODIM",
        f"{uri}/Redfish",
    ]
    redfish = (await house.client.get(f"{uri}/Redfish")).json()
    assert redfish["ConnectionMethodType"] == "Redfish"


async def test_ready_when_temporal_and_store_answer(house: House) -> None:
    assert (await house.client.get("/readyz")).json() == {"status": "ready"}
    assert (await house.client.get("/healthz")).json() == {"status": "ok"}


async def test_changes_are_503_without_temporal(house: House) -> None:
    source = source_body("rack9", "http://host.invalid", "Redfish", "password")
    account = {"UserName": "guest", "Password": "swordfish", "RoleId": "Operator"}
    accounts = f"{ROOT}/Managers/bmc1.1/RemoteAccountService/Accounts"
    sources = f"{ROOT}/AggregationService/AggregationSources"
    bodies = {RESET: {"ResetType": "On"}, sources: source, accounts: account}
    async with without_temporal(house) as client:
        for uri, body in bodies.items():
            begun = time.monotonic()
            response = await client.post(uri, json=body)
            assert response.status_code == 503
            assert time.monotonic() - begun < 4
            assert int(response.headers["Retry-After"]) > 0
            assert message_keys(response) == ["ServiceTemporarilyUnavailable"]
    async with house.store.read() as connection:
        assert (await connection.execute(select(secret_bodies))).all() == []
    assert (await house.client.get(f"{sources}/rack9")).status_code == 404
    assert house.emulator.executions() == []


async def test_what_was_refused_without_temporal_can_be_sent_again(
    house: House,
) -> None:
    body = source_body("rack9", "http://127.0.0.1:9", "Redfish", "password")
    uri = f"{ROOT}/AggregationService/AggregationSources"
    async with without_temporal(house) as client:
        assert (await client.post(uri, json=body)).status_code == 503
    await house.stop_worker()
    assert (await house.client.post(uri, json=body)).status_code == 202


async def test_reads_of_machines_go_on_without_temporal(house: House) -> None:
    async with without_temporal(house) as client:
        system = await client.get(f"{ROOT}/Systems/node1.1")
        systems = await client.get(f"{ROOT}/Systems")
        root = await client.get(ROOT)
        alive = await client.get("/healthz")
    assert system.json()["PowerState"] == "On"
    assert len(members(systems)) == 3
    assert (root.status_code, alive.status_code) == (200, 200)


@pytest.mark.parametrize(
    "uri", ["/readyz", TASKS, f"{TASKS}/x", f"{ROOT}/TaskService/TaskMonitors/x"]
)
async def test_tasks_are_503_without_temporal(house: House, uri: str) -> None:
    async with without_temporal(house) as client:
        begun = time.monotonic()
        response = await client.get(uri)
    assert response.status_code == 503
    assert time.monotonic() - begun < 4
    assert int(response.headers["Retry-After"]) > 0
    assert message_keys(response) == ["ServiceTemporarilyUnavailable"]
