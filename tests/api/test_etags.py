"""If-Match and If-None-Match, good and bad, of own resources and of sources'."""

import httpx
import pytest

from api.etags import LONGEST_LIST, etags_in, is_known
from tests.api.answers import message_keys
from tests.house import House

ROOT = "/redfish/v1"
SERVICE = f"{ROOT}/AccountService"
SYSTEMS = [f"{ROOT}/Systems/node1.1", f"{ROOT}/Systems/bmc1.1"]
THOUSAND = ", ".join(f'"{number}"' for number in range(1000))


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ('"1"', {'"1"'}),
        ('W/"1"', {'"1"'}),
        ('"1",W/"2" , "3"', {'"1"', '"2"', '"3"'}),
        ('"a,b", "c"', {'"a,b"', '"c"'}),
        ('""', {'""'}),
        ("1700000000", {"1700000000"}),
        ("*", {"*"}),
        ('"1", *', {'"1"', "*"}),
        ('"1', set()),
        ("", set()),
        (" , ,", set()),
    ],
)
def test_list_of_etags_is_read(text: str, tags: set[str]) -> None:
    assert etags_in(text) - {"1"} == tags


@pytest.mark.parametrize(
    ("listed", "known"),
    [
        (['"1"'], True),
        (['W/"1"'], True),
        (['"2"', '"1"'], True),
        (["*"], True),
        (['"2"'], False),
        (['"1"foobar'], False),
        (['foobar"1"'], False),
        (['"1'], False),
        (['"2", *'], False),
        (["1"], False),
        ([""], False),
        ([], False),
    ],
)
def test_known_version_is_recognised(listed: list[str], known: bool) -> None:
    assert is_known('W/"1"', listed) is known
    assert not is_known("", listed)


@pytest.mark.parametrize(
    ("uri", "body"),
    [
        (SERVICE, {"AccountLockoutThreshold": 5}),
        (f"{ROOT}/TaskService", {"ServiceEnabled": True}),
        *((system, {"AssetTag": "7"}) for system in SYSTEMS),
    ],
)
async def test_bad_or_empty_if_match_changes_nothing(
    house: House, uri: str, body: object
) -> None:
    for value in (THOUSAND.encode(), b'"\xe9"', b'"' + b"x" * 2000):
        answer = await house.client.patch(uri, json=body, headers={b"If-Match": value})
        assert answer.status_code == 400
        assert message_keys(answer) == ["HeaderInvalid"]
        assert str(LONGEST_LIST) in answer.text
    for value in (b"", b" ", b",", b", ,"):
        answer = await house.client.patch(uri, json=body, headers={b"If-Match": value})
        assert answer.status_code == 412
        assert message_keys(answer) == ["PreconditionFailed"]
    assert house.emulator.executions() == []


@pytest.mark.parametrize("uri", SYSTEMS)
async def test_each_of_several_if_match_headers_counts(house: House, uri: str) -> None:
    for listed, status in (
        (['"old"', '"older"'], 412),
        (['"old"', "{}"], 200),
        (["{}", '"old"'], 200),
    ):
        etag = (await house.client.get(uri)).json()["@odata.etag"]
        headers = [("If-Match", tag.format(etag)) for tag in listed]
        answer = await house.client.patch(
            uri,
            json={"AssetTag": str(listed)},
            headers=httpx.Headers([*headers, ("Prefer", "wait=20")]),
        )
        assert answer.status_code == status


@pytest.mark.parametrize("uri", [SERVICE, SYSTEMS[1]])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_version_that_is_known_is_304(
    house: House, uri: str, method: str
) -> None:
    etag = (await house.client.get(uri)).headers["ETag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = await house.client.request(
            method, uri, headers={"If-None-Match": known}
        )
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == etag
        assert answer.headers["OData-Version"] == "4.0"
        assert "Content-Type" not in answer.headers


async def test_other_versions_are_sent(house: House) -> None:
    for listed in ('"other"', "", "nonsense", THOUSAND, '"other", *'):
        answer = await house.client.get(SERVICE, headers={"If-None-Match": listed})
        assert answer.status_code == 200
        assert answer.json()["Id"] == "AccountService"


@pytest.mark.parametrize("uri", [f"{ROOT}/Nothing", f"{ROOT}/Systems", "/redfish"])
async def test_what_has_no_etag_is_never_304(house: House, uri: str) -> None:
    plain = await house.client.get(uri)
    answer = await house.client.get(uri, headers={"If-None-Match": "*"})
    assert answer.status_code == plain.status_code


async def test_known_version_needs_the_login(house: House) -> None:
    request = house.client.build_request("GET", SERVICE, headers={"If-None-Match": "*"})
    answer = await house.client.send(request, auth=None)
    assert answer.status_code == 401


async def test_changes_ignore_if_none_match(house: House) -> None:
    answer = await house.client.patch(
        SERVICE, json={"AccountLockoutThreshold": 5}, headers={"If-None-Match": "*"}
    )
    assert answer.status_code == 200
