"""Headers: more than anybody needs are refused, in Redfish's form."""

import pytest

from tests.api.answers import message_keys
from tests.house import House


@pytest.mark.parametrize(
    "headers",
    [
        {f"X-{number}": "a" for number in range(1000)},
        {"X-Long": "a" * (100 << 10)},
        {"A" * (40 << 10): "a"},
    ],
    ids=["a thousand", "a long one", "a long name"],
)
async def test_too_many_headers_are_431(house: House, headers: dict[str, str]) -> None:
    answer = await house.client.get("/redfish/v1", headers=headers)
    assert answer.status_code == 431
    assert message_keys(answer) == ["GeneralError"]
    assert answer.headers["OData-Version"] == "4.0"
    assert answer.headers["X-Request-Id"]


async def test_refused_headers_change_nothing(house: House) -> None:
    uri = "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset"
    headers = {"X-Long": "a" * (100 << 10)}
    body = {"ResetType": "ForceRestart"}
    answer = await house.client.post(uri, json=body, headers=headers)
    assert answer.status_code == 431
    assert house.executions("bmc1") == 0


async def test_headers_as_proxies_add_them_are_served(house: House) -> None:
    headers = {f"X-{number}": "a" * 200 for number in range(100)}
    answer = await house.client.get("/redfish/v1", headers=headers)
    assert answer.status_code == 200
