"""Registries and JsonSchemas: where DMTF has what the answers are written by."""

import pytest

from taskfish.redfish.messages import REGISTRIES
from tests.api.answers import members, message_keys
from tests.api.test_service import METADATA, ROOT
from tests.house import House

FILES = f"{ROOT}/Registries"
SCHEMAS = f"{ROOT}/JsonSchemas"


async def test_every_registry_of_our_messages_is_listed(house: House) -> None:
    found = set()
    for uri in members(await house.client.get(FILES)):
        file = (await house.client.get(uri)).json()
        (location,) = file["Location"]
        name = f"{file['Id']}.json"
        assert file["Languages"] == [location["Language"]]
        assert location["PublicationUri"].startswith("https://redfish.dmtf.org/")
        assert location["PublicationUri"].endswith(f"/{name}")
        assert file["Id"].startswith(f"{file['Registry']}.")
        found.add(file["Registry"])
    assert found == set(REGISTRIES)


async def test_schemas_are_those_of_the_metadata(house: House) -> None:
    await house.client.get(f"{ROOT}/Systems/bmc1.1")
    metadata = (await house.client.get(METADATA)).text
    uris = members(await house.client.get(SCHEMAS))
    names = [uri.removeprefix(f"{SCHEMAS}/") for uri in uris]
    assert names == sorted(set(names))
    assert all(f'Namespace="{name}"' in metadata for name in names)
    assert {"TaskCollection", "JsonSchemaFileCollection"} <= set(names)
    assert any(name.startswith("ComputerSystem.v1_") for name in names)


async def test_schema_says_what_it_describes_and_where_it_is(house: House) -> None:
    task = (await house.client.get(f"{SCHEMAS}/Task.v1_7_4")).json()
    assert task["Schema"] == "#Task.v1_7_4.Task"
    assert task["Location"] == [
        {
            "Language": "en",
            "PublicationUri": "http://redfish.dmtf.org/schemas/v1/Task.v1_7_4.json",
        }
    ]
    tasks = (await house.client.get(f"{SCHEMAS}/TaskCollection")).json()
    assert tasks["Schema"] == "#TaskCollection.TaskCollection"


@pytest.mark.parametrize(
    "uri",
    [
        f"{FILES}/Base",
        f"{FILES}/Base.1.22",
        f"{FILES}/base.1.22.1",
        f"{FILES}/Contoso.1.0.0",
        f"{SCHEMAS}/Task",
        f"{SCHEMAS}/Task.v1_7_4.json",
        f"{SCHEMAS}/Task.v9_9_9",
        f"{SCHEMAS}/Contoso.v1_0_0",
        f"{SCHEMAS}/%20",
    ],
)
async def test_other_files_are_not_there(house: House, uri: str) -> None:
    response = await house.client.get(uri)
    assert response.status_code == 404
    assert message_keys(response) == ["ResourceMissingAtURI"]


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_published_files_cannot_be_changed(house: House, method: str) -> None:
    for uri in (FILES, SCHEMAS, f"{FILES}/Base.1.22.1", f"{SCHEMAS}/TaskCollection"):
        response = await house.client.request(method, uri, json={})
        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD"}
