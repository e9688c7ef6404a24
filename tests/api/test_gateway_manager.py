"""The Manager that is the gateway itself."""

import pytest

from api.front import METHODS
from taskfish.redfish.manager_resources import GATEWAY_MANAGER
from tests.api.accounts import account
from tests.api.answers import members, message_keys
from tests.api.test_service import ROOT, without_temporal
from tests.house import House, source_body

LOGS = f"{GATEWAY_MANAGER}/LogServices"


async def test_gateway_is_a_manager_among_those_of_the_sources(house: House) -> None:
    uris = members(await house.client.get(f"{ROOT}/Managers"))
    assert uris.count(GATEWAY_MANAGER) == 1
    assert len(uris) > 1
    manager = (await house.client.get(GATEWAY_MANAGER)).json()
    root = (await house.client.get(ROOT)).json()
    assert root["Links"]["ManagerProvidingService"]["@odata.id"] == GATEWAY_MANAGER
    assert manager["ManagerType"] == "Service"
    assert manager["Id"] == "taskfish"
    assert manager["ServiceEntryPointUUID"] == root["UUID"]
    assert manager["FirmwareVersion"]
    assert manager["Status"] == {"State": "Enabled", "Health": "OK"}
    assert "Actions" not in manager
    assert members(await house.client.get(LOGS)) == [f"{LOGS}/Audit"]


async def test_gateway_is_there_while_temporal_is_not(house: House) -> None:
    async with without_temporal(house) as client:
        assert (await client.get(GATEWAY_MANAGER)).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/Nothing",
        "/NetworkProtocol",
        "/LogServices/Log",
        "/LogServices/Audit/Entries/x/y",
        "/RemoteAccountService/Accounts",
        "/Actions/Manager.Reset",
        "/LogServices/Audit/Actions/LogService.ClearLog",
        "/Oem/Taskfish",
    ],
)
async def test_what_the_gateway_has_not_reaches_no_source(
    house: House, path: str
) -> None:
    for method in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"):
        response = await house.client.request(method, GATEWAY_MANAGER + path)
        assert response.status_code == 404
    assert house.emulator.executions() == []


@pytest.mark.parametrize(
    "uri",
    [
        GATEWAY_MANAGER,
        LOGS,
        f"{LOGS}/Audit",
        f"{LOGS}/Audit/Entries",
        f"{LOGS}/Audit/Entries/1",
    ],
)
async def test_gateway_is_only_read(house: House, uri: str) -> None:
    for method in set(METHODS) - {"GET", "HEAD"}:
        response = await house.client.request(method, uri, json={})
        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD"
        assert message_keys(response) == ["OperationNotAllowed"]


async def test_source_of_that_name_is_another(house: House) -> None:
    body = source_body("taskfish", "http://127.0.0.1:9", "Redfish", "password")
    added = await house.client.post(
        f"{ROOT}/AggregationService/AggregationSources", json=body
    )
    manager = await house.client.get(GATEWAY_MANAGER)
    assert manager.json()["ManagerType"] == "Service"
    await house.ended(added)


async def test_everybody_reads_the_manager(house: House) -> None:
    async with account(house, "ReadOnly") as user:
        for uri in (GATEWAY_MANAGER, LOGS, f"{LOGS}/Audit"):
            assert (await house.client.get(uri, auth=user)).status_code == 200
