"""What a hostile source may do to our answers: nothing but its own body."""

import pytest
from pydantic import JsonValue

from api.responses import source_response
from taskfish.redfish.task import Answer
from tests.house import House

ROOT = "/redfish/v1"
STORAGE = "{}/Storage"
INJECTED = "1\r\nX-Injected: 1"
SYSTEMS = {"node1": f"{ROOT}/Systems/node1.1", "bmc1": f"{ROOT}/Systems/bmc1.1"}


@pytest.mark.parametrize("name", ["ETag", "Location", "Retry-After", "Allow"])
@pytest.mark.parametrize(
    "value",
    [
        INJECTED,
        "1\nX: 1",
        "1\rX: 1",
        "1\n",
        "1\x00",
        "\t1",
        " 1",
        "1\x7f",
        "\xe9",
        "\u2028",
        "\u010a",
        "",
        "x" * 1025,
    ],
)
def test_header_that_could_be_two_is_left_out(name: str, value: str) -> None:
    answer = Answer(status=200, headers={name: value}, body={})
    response = source_response(answer)
    assert set(response.headers) == {"content-length", "content-type"}


@pytest.mark.parametrize(
    "name",
    [
        "X-Auth-Token",
        "Set-Cookie",
        "Link",
        "Content-Encoding",
        "Transfer-Encoding",
        "Content-Length",
        "Access-Control-Allow-Origin",
        "WWW-Authenticate",
        "X\r\nY",
    ],
)
def test_other_headers_stay_here(name: str) -> None:
    response = source_response(Answer(status=200, headers={name: "1"}, body={}))
    assert set(response.headers) == {"content-length", "content-type"}
    assert response.headers["content-length"] == "2"


def test_content_type_is_our_own() -> None:
    kept = Answer(status=200, headers={"Content-Type": "text/html"}, body="<script>")
    assert source_response(kept).headers["content-type"].startswith("text/plain")
    kept = Answer(status=200, headers={"Content-Type": "text/html"}, body={})
    assert source_response(kept).headers["content-type"] == "application/json"


HOSTILE: dict[str, JsonValue] = {
    "ETag": '"\xe9"',
    "Allow": "x" * 5000,
    "Location": "http://[bad/redfish/v1/Systems/1%0d%0aX-Injected:%201",
    "Retry-After": "never\tever",
    "Set-Cookie": "session=1",
    "Link": "</elsewhere>; rel=describedby",
    "Server": "source",
    "X-Injected": "1",
    "Cache-Control": "public",
    "OData-Version": "9.9",
    "X-Request-Id": "theirs",
    "Task-Id": "theirs",
    "Access-Control-Allow-Origin": "*",
}


@pytest.mark.parametrize("machine", list(SYSTEMS))
async def test_read_brings_none_of_a_sources_headers(
    house: House, machine: str
) -> None:
    house.emulator.set_modes(
        "plugin" if machine == "node1" else machine, headers=HOSTILE
    )
    uri = STORAGE.format(SYSTEMS[machine])
    answer = await house.client.get(uri)
    assert answer.status_code == 200
    assert answer.json()["@odata.id"] == uri
    assert answer.headers["OData-Version"] == "4.0"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Allow"] == "GET, HEAD"
    assert "elsewhere" not in answer.headers["Link"]
    assert "theirs" not in answer.headers.values()
    assert not answer.headers.keys() & {
        *("etag", "location", "retry-after", "set-cookie", "server", "x-injected"),
        *("access-control-allow-origin", "task-id"),
    }


@pytest.mark.parametrize("machine", list(SYSTEMS))
@pytest.mark.parametrize(
    "location",
    [
        HOSTILE["Location"],
        "http://[bad",
        f"{ROOT}/Systems/1%0d%0aX-Injected:%201",
        f"{ROOT}/Systems/1/../../Managers",
        f"//elsewhere{ROOT}/Systems/1",
        "javascript:alert(1)",
        "x" * 5000,
    ],
)
async def test_final_answer_has_no_location_that_leads_astray(
    house: House, machine: str, location: str
) -> None:
    target = "plugin" if machine == "node1" else machine
    house.emulator.set_modes(machine, answer="sync")
    house.emulator.set_modes(target, headers={"Location": location})
    accepted = await house.change("PATCH", SYSTEMS[machine], {"AssetTag": "7"})
    final = await house.final(accepted)
    assert final.status_code in (200, 204)
    assert not final.headers.keys() & {"x-injected", "etag"}
    shown = final.headers.get("Location", ROOT)
    assert shown.startswith(ROOT)
    assert not set(shown) & set("\r\n ")
    task = await house.task(accepted)
    assert task["TaskState"] == "Completed"
    assert house.executions(machine) == 1


async def test_type_of_a_source_cannot_break_the_answer(house: House) -> None:
    """A digit that is none of ASCII's is no version, and no header could hold it."""
    types = ["#ComputerSystem.v\u0661_27_0.ComputerSystem", "#Task.v1_0_0.T\r\nX: 1"]
    for odata_type in types:
        body = {"@odata.type": odata_type}
        response = source_response(Answer(status=200, body=body))
        assert "link" not in response.headers
