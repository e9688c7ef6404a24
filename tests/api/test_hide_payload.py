"""HidePayload: what a Task shows of its request is the operator's to say."""

import httpx
import pytest

from api.app import create_app
from tests.house import PASSWORD, USER, House, client_of
from tests.workflows.houses import create_account


async def shown(house: House, accepted: httpx.Response, wish: str) -> dict[str, object]:
    """Read a Task at an API that hides payloads as the wish says."""
    settings = house.settings.model_copy(update={"hide_payload": wish})
    app = create_app(settings, house.temporal)
    async with client_of(app, (USER, PASSWORD)) as client:
        task = await client.get(accepted.json()["@odata.id"])
    found: dict[str, object] = task.json()
    return found


@pytest.mark.parametrize(
    ("wish", "hides"), [("never", False), ("secrets", True), ("always", True)]
)
async def test_payload_with_a_secret_is_hidden_as_wished(
    house: House, wish: str, hides: bool
) -> None:
    accepted = await create_account(house)
    task = await shown(house, accepted, wish)
    assert task["HidePayload"] is hides
    assert ("Payload" in task) is not hides
    assert "s3cret-w0rd" not in str(task)


@pytest.mark.parametrize(
    ("wish", "hides"), [("never", False), ("secrets", False), ("always", True)]
)
async def test_payload_without_a_secret_is_hidden_as_wished(
    house: House, wish: str, hides: bool
) -> None:
    accepted = await house.reset("bmc1.1")
    task = await shown(house, accepted, wish)
    assert task["HidePayload"] is hides
    assert ("Payload" in task) is not hides


async def test_payload_that_is_too_long_for_lists_is_hidden(house: House) -> None:
    """What it says of its time is kept: a Task that waits shows that."""
    house.emulator.set_modes("bmc1", apply_times=False)
    body = {"Name": "x" * 20_000, "@Redfish.OperationApplyTime": "OnReset"}
    volumes = "/redfish/v1/Systems/bmc1.1/Storage/1/Volumes"
    accepted = await house.change("POST", volumes, body)
    task = await house.until(accepted, "Pending")
    run = await house.workflow(accepted).describe()
    assert len(str(await run.memo())) < 2_000
    await house.client.delete(accepted.json()["@odata.id"])
    assert task["HidePayload"] is True
    assert "Payload" not in task
    assert task["@Redfish.OperationApplyTime"] == "OnReset"
