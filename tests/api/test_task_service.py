"""The TaskService: what may be changed of it, and what that changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from api.app import create_app
from tests.api.answers import message_keys
from tests.api.test_service import without_temporal
from tests.house import PASSWORD, SOURCES, TASKS, USER, House, client_of, source_body
from tests.workflows.houses import until

SERVICE = "/redfish/v1/TaskService"
RETENTION_MINUTES = 72 * 60
AS_AT_FIRST = {
    "ServiceEnabled": True,
    "TaskAutoDeleteTimeoutMinutes": 1440,
    "TaskMonitorAutoExpirySeconds": 3600,
}


@pytest.fixture
async def house(house: House) -> AsyncIterator[House]:
    """Give the gateway, and set its TaskService back after the test."""
    yield house
    response = await house.client.patch(SERVICE, json=AS_AT_FIRST)
    assert response.status_code == 200


async def shown(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get(SERVICE)
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


@asynccontextmanager
async def another_api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a second API over the same store."""
    app = create_app(house.settings, house.temporal)
    async with client_of(app, (USER, PASSWORD)) as client:
        yield client


async def test_defaults_come_from_the_settings(house: House) -> None:
    service = await shown(house.client)
    assert AS_AT_FIRST.items() <= service.items()
    assert service["CompletedTaskOverWritePolicy"] == "Oldest"
    assert service["Status"] == {"State": "Enabled", "Health": "OK"}
    target = f"{SERVICE}/Actions/TaskService.DeleteAllCompletedTasks"
    oem = service["Actions"].pop("Oem")
    assert list(oem) == ["#Taskfish.RunPlan"]
    assert service["Actions"] == {
        "#TaskService.DeleteAllCompletedTasks": {"target": target}
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TaskAutoDeleteTimeoutMinutes", 1),
        ("TaskAutoDeleteTimeoutMinutes", RETENTION_MINUTES),
        ("TaskMonitorAutoExpirySeconds", 0),
        ("TaskMonitorAutoExpirySeconds", 2**31 - 1),
        ("ServiceEnabled", False),
    ],
)
async def test_change_is_kept(house: House, name: str, value: Any) -> None:
    before = await shown(house.client)
    response = await house.client.patch(SERVICE, json={name: value})
    assert response.status_code == 200
    assert response.json()[name] == value
    others = {key: AS_AT_FIRST[key] for key in AS_AT_FIRST if key != name}
    assert others.items() <= (await shown(house.client)).items()
    assert response.json()["@odata.etag"] != before["@odata.etag"]
    async with another_api(house) as client:
        assert (await shown(client))[name] == value


async def test_other_processes_follow_soon(house: House) -> None:
    async with another_api(house) as client:
        assert (await shown(client))["ServiceEnabled"]
        await house.client.patch(SERVICE, json={"ServiceEnabled": False})

        async def follows() -> bool:
            return not (await shown(client))["ServiceEnabled"]

        await until(follows, seconds=3)


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("TaskAutoDeleteTimeoutMinutes", 0, "PropertyValueOutOfRange"),
        ("TaskAutoDeleteTimeoutMinutes", -1, "PropertyValueOutOfRange"),
        ("TaskAutoDeleteTimeoutMinutes", 10**30, "PropertyValueOutOfRange"),
        ("TaskAutoDeleteTimeoutMinutes", "60", "PropertyValueTypeError"),
        ("TaskAutoDeleteTimeoutMinutes", 1.5, "PropertyValueTypeError"),
        ("TaskAutoDeleteTimeoutMinutes", True, "PropertyValueTypeError"),
        ("TaskAutoDeleteTimeoutMinutes", None, "PropertyValueTypeError"),
        ("TaskMonitorAutoExpirySeconds", -1, "PropertyValueOutOfRange"),
        ("TaskMonitorAutoExpirySeconds", 2**31, "PropertyValueOutOfRange"),
        ("TaskMonitorAutoExpirySeconds", [1], "PropertyValueTypeError"),
        ("ServiceEnabled", 0, "PropertyValueTypeError"),
        ("ServiceEnabled", "false", "PropertyValueTypeError"),
        ("ServiceEnabled", None, "PropertyValueTypeError"),
        ("CompletedTaskOverWritePolicy", "Manual", "PropertyNotWritable"),
        ("LifeCycleEventOnTaskStateChange", True, "PropertyNotWritable"),
        ("DateTime", "2030-01-01T00:00:00Z", "PropertyNotWritable"),
        ("Name", "Mine", "PropertyNotWritable"),
        ("Tasks", {}, "PropertyNotWritable"),
        ("HostName", "x", "PropertyUnknown"),
        ("taskAutoDeleteTimeoutMinutes", 5, "PropertyUnknown"),
    ],
)
async def test_wrong_value_is_refused(
    house: House, name: str, value: Any, key: str
) -> None:
    body = {"TaskMonitorAutoExpirySeconds": 7, name: value}
    response = await house.client.patch(SERVICE, json=body)
    assert response.status_code == 400
    assert message_keys(response) == [key]
    (info,) = response.json()["error"]["@Message.ExtendedInfo"]
    assert info["RelatedProperties"] == [f"#/{name}"]
    assert AS_AT_FIRST.items() <= (await shown(house.client)).items()


async def test_everything_wrong_is_told_at_once(house: House) -> None:
    body = {"ServiceEnabled": 1, "Id": "x", "TaskMonitorAutoExpirySeconds": -1}
    response = await house.client.patch(SERVICE, json=body)
    assert sorted(message_keys(response)) == [
        "PropertyNotWritable",
        "PropertyValueOutOfRange",
        "PropertyValueTypeError",
    ]


@pytest.mark.parametrize("body", [{}, {"@odata.id": SERVICE, "@odata.etag": "x"}])
async def test_nothing_to_change_is_refused(house: House, body: Any) -> None:
    response = await house.client.patch(SERVICE, json=body)
    assert response.status_code == 400
    assert message_keys(response) == ["NoOperation"]


async def test_annotations_are_ignored(house: House) -> None:
    body = {"@odata.id": "/elsewhere", "TaskMonitorAutoExpirySeconds": 60}
    response = await house.client.patch(SERVICE, json=body)
    assert response.status_code == 200
    assert response.json()["@odata.id"] == SERVICE


async def test_tasks_outlive_no_retention_of_temporal(house: House) -> None:
    body = {"TaskAutoDeleteTimeoutMinutes": RETENTION_MINUTES + 1}
    response = await house.client.patch(SERVICE, json=body)
    assert response.status_code == 400
    assert message_keys(response) == ["PropertyValueOutOfRange"]
    assert f"at most {RETENTION_MINUTES}" in response.text


async def test_retention_is_not_guessed_while_temporal_is_silent(house: House) -> None:
    async with without_temporal(house) as client:
        body = {"TaskAutoDeleteTimeoutMinutes": 60}
        response = await client.patch(SERVICE, json=body)
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        other = {"TaskMonitorAutoExpirySeconds": 60}
        assert (await client.patch(SERVICE, json=other)).status_code == 200
        assert (
            AS_AT_FIRST["TaskAutoDeleteTimeoutMinutes"]
            == ((await shown(client))["TaskAutoDeleteTimeoutMinutes"])
        )


async def test_etag_names_the_version(house: House) -> None:
    first = await house.client.get(SERVICE)
    etag = first.headers["ETag"]
    assert etag == first.json()["@odata.etag"]
    assert etag == (await house.client.get(SERVICE)).headers["ETag"]
    body = {"TaskMonitorAutoExpirySeconds": 90}
    changed = await house.client.patch(SERVICE, json=body, headers={"If-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] not in (etag, "")


@pytest.mark.parametrize(
    "tag", ['"0000"', "*", "W/{}", '"0000", {}', "{}", '"0000", *', "", "*, *"]
)
async def test_if_match_is_compared(house: House, tag: str) -> None:
    etag = (await house.client.get(SERVICE)).headers["ETag"]
    headers = {"If-Match": tag.format(etag)}
    body = {"TaskMonitorAutoExpirySeconds": 91}
    response = await house.client.patch(SERVICE, json=body, headers=headers)
    if "{}" not in tag and tag != "*":
        assert response.status_code == 412
        assert message_keys(response) == ["PreconditionFailed"]
        assert AS_AT_FIRST.items() <= (await shown(house.client)).items()
    else:
        assert response.status_code == 200


async def test_one_of_two_changes_of_a_version_wins(house: House) -> None:
    headers = {"If-Match": (await house.client.get(SERVICE)).headers["ETag"]}
    async with another_api(house) as client:
        answers = await asyncio.gather(
            *(
                each.patch(
                    SERVICE,
                    json={"TaskMonitorAutoExpirySeconds": number},
                    headers=headers,
                )
                for number, each in enumerate((house.client, client) * 4, start=10)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7


async def test_methods_of_the_service_are_told(house: House) -> None:
    for method in ("POST", "PUT", "DELETE"):
        response = await house.client.request(method, SERVICE, json={})
        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "PATCH"}


async def test_monitor_goes_as_soon_as_the_service_says(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    assert (await house.final(accepted)).status_code < 300
    monitor = accepted.headers["Location"]
    assert (await house.client.get(monitor)).status_code < 300
    await house.client.patch(SERVICE, json={"TaskMonitorAutoExpirySeconds": 0})
    assert (await house.client.get(monitor)).status_code == 404
    task = await house.client.get(f"{TASKS}/{accepted.json()['Id']}")
    assert "TaskMonitor" not in task.json()


async def test_disabled_service_starts_nothing(house: House) -> None:
    running = await house.reset("bmc1.1")
    await house.client.patch(SERVICE, json={"ServiceEnabled": False})
    assert (await shown(house.client))["Status"]["State"] == "Disabled"
    reset = "/redfish/v1/Systems/node1.1/Actions/ComputerSystem.Reset"
    source = source_body("late", "http://192.0.2.1", "Redfish", "password")
    for uri, body in ((reset, {"ResetType": "ForceOff"}), (SOURCES, source)):
        response = await house.client.post(uri, json=body)
        assert response.status_code == 503
        assert message_keys(response) == ["ServiceDisabled"]
        assert int(response.headers["Retry-After"]) > 0
    assert house.executions("node1") == 0
    assert (await house.ended(running))["TaskState"] == "Completed"
    await house.client.patch(SERVICE, json={"ServiceEnabled": True})
    assert (await house.ended(await house.reset("node1.1")))["TaskStatus"] == "OK"
