"""Versions of the bare-metal door: negotiated, and open to everybody."""

import json

import pytest

from tests.api.baremetal.ironic import NODES, V1, VERSION, fault
from tests.house import House

BOUNDS = {
    "X-OpenStack-Ironic-API-Minimum-Version": "1.1",
    "X-OpenStack-Ironic-API-Maximum-Version": "1.95",
}


@pytest.mark.parametrize("path", ["/baremetal", "/baremetal/", V1, f"{V1}/"])
async def test_versions_are_told_without_login(shared_house: House, path: str) -> None:
    request = shared_house.client.build_request("GET", path)
    answer = await shared_house.client.send(request, auth=None)
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in BOUNDS} == BOUNDS
    body = answer.json()
    (version,) = body.get("versions", [body.get("version")])
    assert (version["id"], version["status"]) == ("v1", "CURRENT")
    assert (version["min_version"], version["version"]) == ("1.1", "1.95")
    assert version["links"] == [{"href": f"http://gateway{V1}", "rel": "self"}]


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [(None, "1.1"), ("1.1", "1.1"), ("1.27", "1.27"), ("latest", "1.95")],
)
async def test_version_that_is_asked_for_is_spoken(
    shared_house: House, asked: str | None, spoken: str
) -> None:
    headers = {VERSION: asked} if asked else {}
    answer = await shared_house.client.get(NODES, headers=headers)
    assert answer.status_code == 200
    assert answer.headers[VERSION] == spoken
    request_id = answer.headers["X-Request-Id"]
    assert answer.headers["OpenStack-Request-Id"] == f"req-{request_id}"


@pytest.mark.parametrize("asked", ["1.96", "1.0", "2.1", "newest", "1", ""])
async def test_other_versions_are_refused_with_the_range(
    shared_house: House, asked: str
) -> None:
    answer = await shared_house.client.get(NODES, headers={VERSION: asked})
    assert answer.status_code == 406
    assert {name: answer.headers[name] for name in BOUNDS} == BOUNDS
    said = json.loads(answer.json()["error_message"])
    assert (said["code"], said["title"]) == (406, "Not Acceptable")
    if asked == "1.96":
        assert said["description"] == (
            "Mutually exclusive versions requested. Version 1.96 requested but not "
            "supported by this service. The supported version range is: [1.1, 1.95]."
        )


async def test_redfish_has_none_of_it(shared_house: House) -> None:
    answer = await shared_house.client.get("/redfish/v1", headers={VERSION: "9.9"})
    assert answer.status_code == 200
    assert VERSION not in answer.headers


async def test_names_are_known_from_1_5_on(house: House) -> None:
    for version, status in (("1.4", 404), ("1.5", 200)):
        headers = {VERSION: version}
        answer = await house.client.get(f"{NODES}/bmc1.1", headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize(
    "body", [{"target": "soft power off"}, {"target": "power on", "timeout": 5}]
)
async def test_soft_changes_and_timeouts_are_known_from_1_27_on(
    house: House, body: object
) -> None:
    uri = f"{NODES}/bmc1.1/states/power"
    refused = await house.client.put(uri, json=body, headers={VERSION: "1.26"})
    assert (refused.status_code, fault(refused)) == (406, "Request not acceptable.")
    taken = await house.client.put(uri, json=body, headers={VERSION: "1.27"})
    assert taken.status_code == 202


async def test_nmi_is_known_from_1_29_on(house: House) -> None:
    uri = f"{NODES}/bmc1.1/management/inject_nmi"
    refused = await house.client.put(uri, json={}, headers={VERSION: "1.28"})
    assert refused.status_code == 404
    taken = await house.client.put(uri, json={}, headers={VERSION: "1.29"})
    assert (taken.status_code, taken.content) == (204, b"")
