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
