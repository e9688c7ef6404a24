"""Links in two directions: only links, and nothing lost on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from taskfish.redfish.inventory import COLLECTIONS
from taskfish.redfish.links import ROOT, LinkMap

LINKS = LinkMap("rack7", manager="BMC")
NAMES = st.text(alphabet="abcXYZ019._-", min_size=1, max_size=12).filter(
    lambda name: name.strip(".") != ""
)
RESTS = st.sampled_from(["", "/Storage/1", "/Power#/PowerControl/0", "/Bios/Settings"])


@given(st.sampled_from(COLLECTIONS), NAMES, RESTS)
def test_members_uri_comes_back_the_same(collection: str, name: str, rest: str) -> None:
    south = f"{ROOT}/{collection}/{name}{rest}"
    north = LINKS.north_uri(south)
    assert north == f"{ROOT}/{collection}/rack7.{name}{rest}"
    assert LINKS.south_uri(north) == south


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["Name", "Note", "x"]), inner, max_size=4)
        ),
    )
)
def test_what_is_no_link_stays(body: JsonValue) -> None:
    assert LINKS.north(body) == body
    assert LINKS.south(body) == body


def test_text_that_looks_like_a_link_stays() -> None:
    body: JsonValue = {
        "Name": "/redfish/v1/Systems/1",
        "Description": "ODIM at /redfish/v1/Systems/1",
        "@odata.id": "/redfish/v1/Systems/1",
    }
    assert LINKS.north(body) == body | {"@odata.id": "/redfish/v1/Systems/rack7.1"}  # type: ignore[operator]


def test_links_that_map_nowhere_are_dropped_and_counted() -> None:
    body: JsonValue = {
        "Fabric": {"@odata.id": "/redfish/v1/Fabrics/1"},
        "Links": {
            "Chassis": [
                {"@odata.id": "/redfish/v1/Chassis/1"},
                {"@odata.id": "/redfish/v1/Fabrics/1"},
            ],
            "Chassis@odata.count": 2,
        },
    }
    assert LINKS.north(body) == {
        "Links": {
            "Chassis": [{"@odata.id": "/redfish/v1/Chassis/rack7.1"}],
            "Chassis@odata.count": 1,
        }
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"),
        ("@Redfish.ActionInfo", "/redfish/v1/Systems/1/ResetActionInfo"),
        ("Members@odata.nextLink", "/redfish/v1/Systems/1/LogServices?$skip=2"),
        ("Targets", ["/redfish/v1/Systems/1", "/redfish/v1/Chassis/1"]),
    ],
)
def test_every_kind_of_link_is_translated(name: str, value: JsonValue) -> None:
    north = LINKS.north({name: value})
    assert "rack7.1" in str(north)
    assert LINKS.south(north) == {name: value}


def test_empty_objects_stay() -> None:
    assert LINKS.north({"Oem": {}, "Members": []}) == {"Oem": {}, "Members": []}


def test_accounts_of_the_bmc_are_below_its_manager() -> None:
    north = f"{ROOT}/Managers/rack7.BMC/RemoteAccountService/Accounts/1"
    assert LINKS.north_uri(f"{ROOT}/AccountService/Accounts/1") == north
    assert LINKS.south_uri(north) == f"{ROOT}/AccountService/Accounts/1"
    assert LinkMap("rack7").north_uri(f"{ROOT}/AccountService") is None


@pytest.mark.parametrize(
    "uri",
    [
        f"{ROOT}/Systems/rack8.1",
        f"{ROOT}/Systems/rack7",
        f"{ROOT}/Systems/rack7.",
        f"{ROOT}/Managers/rack8.BMC/RemoteAccountService",
        f"{ROOT}/SessionService/Sessions",
        f"{ROOT}/AccountService/Accounts",
        "/etc/passwd",
    ],
)
def test_what_is_not_this_sources_reaches_nothing(uri: str) -> None:
    assert LINKS.south_uri(uri) is None


def test_foreign_urls_stay() -> None:
    body: JsonValue = {"Image": "http://10.0.0.9/boot.iso", "Uri": "/elsewhere"}
    assert LINKS.north(body) == body
