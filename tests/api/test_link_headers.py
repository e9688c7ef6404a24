"""The Link to its schema that every resource has, beside the Link to its task."""

import pytest
from pydantic import JsonValue

from api.link_headers import schema_link
from tests.api.test_service import walked
from tests.house import House

ROOT = "/redfish/v1"
SCHEMAS = "http://redfish.dmtf.org/schemas/v1"


def described(odata_type: str) -> str:
    """Return the Link of a type."""
    return f"<{SCHEMAS}/{odata_type[1:].rpartition('.')[0]}.json>; rel=describedby"


async def test_every_resource_links_to_the_schema_of_its_version(house: House) -> None:
    await house.ended(await house.reset("node1.1"))
    for uri, answer in (await walked(house.client)).items():
        link = described(answer.json()["@odata.type"])
        assert answer.headers["Link"] == link, uri
        assert (await house.client.head(uri)).headers["Link"] == link


async def test_task_and_schema_share_one_link_header(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    task = f'<{accepted.json()["@odata.id"]}>; rel="task"'
    schema = described(accepted.json()["@odata.type"])
    assert accepted.headers["Link"] == f"{task}, {schema}"
    monitor = await house.client.get(accepted.headers["Location"])
    assert monitor.status_code == 202
    assert monitor.headers["Link"] == f"{task}, {schema}"


async def test_inline_answer_links_to_its_task_and_its_schema(house: House) -> None:
    answer = await house.client.patch(
        f"{ROOT}/Systems/bmc1.1", json={"AssetTag": "7"}, headers={"Prefer": "wait=20"}
    )
    assert answer.status_code == 200
    links = answer.headers["Link"].split(", ")
    assert described(answer.json()["@odata.type"]) in links
    task = f"{ROOT}/TaskService/Tasks/{answer.headers['Task-Id']}"
    assert f'<{task}>; rel="task"' in links


@pytest.mark.parametrize("uri", [f"{ROOT}/Nothing", f"{ROOT}/Systems?$top=1"])
async def test_error_has_no_schema(house: House, uri: str) -> None:
    assert "Link" not in (await house.client.get(uri)).headers


@pytest.mark.parametrize(
    "body",
    [
        None,
        "text",
        [],
        {},
        {"@odata.type": None},
        {"@odata.type": 7},
        {"@odata.type": ["#Task.v1_7_4.Task"]},
        {"@odata.type": "Task.v1_7_4.Task"},
        {"@odata.type": "#Acme.v1_0_0.Acme"},
        {"@odata.type": "#Task.v1_7_4.Task\r\nX-Injected: 1"},
        {"@odata.type": "#Task.v1_7_4>; rel=x, <.Task"},
        {"@odata.type": "#Task.v\u0661_7_4.Task"},
        {"@odata.type": "#Task.v1_7_4.T\xe4sk"},
        {"@odata.type": "#" + "Task." * 5000},
    ],
)
def test_only_types_of_dmtf_make_a_link(body: JsonValue) -> None:
    assert schema_link(body) is None


@pytest.mark.parametrize(
    "odata_type",
    ["#Task.v1_7_4.Task", "#Task.Task", "#TaskCollection.TaskCollection"],
)
def test_schema_is_that_of_the_version(odata_type: str) -> None:
    assert schema_link({"@odata.type": odata_type}) == described(odata_type)
