"""Links in two directions: only links, and nothing lost on the way."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from taskfish.redfish.inventory import COLLECTIONS
from taskfish.redfish.links import PREFIXED_COLLECTIONS, ROOT, LinkMap

LINKS = LinkMap("rack7", manager="BMC")
NAMES = st.text(alphabet="abcXYZ019._-", min_size=1, max_size=12).filter(
    lambda name: name.strip(".") != ""
)
RESTS = st.sampled_from(["", "/Storage/1", "/Power#/PowerControl/0", "/Bios/Settings"])

segments = st.from_regex(
    r"[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~;:-]*", fullmatch=True
)
paths = st.lists(segments, max_size=3).map(
    lambda names: "".join(f"/{n}" for n in names)
)
source_uris = st.one_of(
    st.builds("{}/{}{}".format, st.sampled_from(PREFIXED_COLLECTIONS), segments, paths),
    st.builds(f"{ROOT}/AccountService{{}}".format, paths),
    st.sampled_from([*PREFIXED_COLLECTIONS, ROOT, f"{ROOT}/UpdateService"]),
)
keys = st.text(st.characters(categories=["L"]), min_size=1).filter(
    lambda key: key not in ("target", "Location", "Link")
)
texts = st.one_of(st.text(), source_uris, source_uris.map("see {}".format))
link_free = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(keys.map("x{}".format), inner, max_size=3),
    ),
)


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


def test_foreign_urls_stay_and_foreign_paths_go() -> None:
    body: JsonValue = {"Image": "http://10.0.0.9/boot.iso", "Uri": "/elsewhere"}
    assert LINKS.north(body) == {"Image": "http://10.0.0.9/boot.iso"}


@pytest.mark.parametrize(
    ("south", "north"),
    [
        ("/Systems/1", "/Systems/rack7.1"),
        ("/Systems/System.Embedded.1", "/Systems/rack7.System.Embedded.1"),
        ("/Systems/1/Storage/1#/Drives/0", "/Systems/rack7.1/Storage/1#/Drives/0"),
        ("/Systems/1/Memory?$skip=5", "/Systems/rack7.1/Memory?$skip=5"),
        ("/Chassis/1/Thermal#/Fans/0", "/Chassis/rack7.1/Thermal#/Fans/0"),
        ("/Managers/BMC", "/Managers/rack7.BMC"),
        (
            "/UpdateService/FirmwareInventory/a",
            "/UpdateService/FirmwareInventory/rack7.a",
        ),
        ("/AccountService", "/Managers/rack7.BMC/RemoteAccountService"),
        (
            "/AccountService/Accounts/1",
            "/Managers/rack7.BMC/RemoteAccountService/Accounts/1",
        ),
        ("/Systems", "/Systems"),
        ("", ""),
    ],
)
def test_uri_has_a_name_in_each_direction(south: str, north: str) -> None:
    assert LINKS.north_uri(ROOT + south) == ROOT + north
    assert LINKS.south_uri(ROOT + north) == ROOT + south


@pytest.mark.parametrize(
    "uri",
    [
        f"{ROOT}/Fabrics/1",
        f"{ROOT}/SystemsX/1",
        f"{ROOT}/TaskService/Tasks/1",
        f"{ROOT}/JsonSchemas",
        f"{ROOT}x",
        f"{ROOT}/Systems/1/../2",
        f"{ROOT}/Systems/1%2f..",
        f"{ROOT}//Systems/1",
        f"{ROOT}/Systems/1\\2",
        f"{ROOT}/Systems/\u00fc",
        "/other",
        "http://elsewhere/redfish/v1/Systems/1",
        "",
    ],
)
def test_uri_that_is_not_aggregated_maps_nowhere(uri: str) -> None:
    assert LINKS.north_uri(uri) is None


def test_accounts_of_another_manager_stay_its_own() -> None:
    uri = f"{ROOT}/Managers/rack7.Other/RemoteAccountService"
    assert LINKS.south_uri(uri) == f"{ROOT}/Managers/Other/RemoteAccountService"


@given(source_uris)
def test_mapped_uri_comes_back(uri: str) -> None:
    north = LINKS.north_uri(uri)
    assert north is not None
    assert LINKS.south_uri(north) == uri


@given(link_free)
def test_nothing_but_link_values_changes(body: JsonValue) -> None:
    assert LINKS.north(body) == body
    assert LINKS.south(body) == body


@given(link_free, source_uris)
def test_links_beside_anything_change_alone(body: JsonValue, uri: str) -> None:
    holder: JsonValue = {"xText": body, "xLink": {"@odata.id": uri}}
    north: Any = LINKS.north(holder)
    assert north == {"xText": body, "xLink": {"@odata.id": LINKS.north_uri(uri)}}
    assert LINKS.south(north) == holder


def test_dead_links_go_with_what_held_only_them() -> None:
    dead: JsonValue = {"@odata.id": f"{ROOT}/Fabrics/1"}
    body: JsonValue = {
        "Fabric": dead,
        "Holder": {"Only": dead},
        "Some": {"Fabric": dead, "Text": "stays"},
        "Empty": {},
        "Members": [dead, {"@odata.id": f"{ROOT}/Systems/1"}, dead],
        "Members@odata.count": 3,
    }
    assert LINKS.north(body) == {
        "Some": {"Text": "stays"},
        "Empty": {},
        "Members": [{"@odata.id": f"{ROOT}/Systems/rack7.1"}],
        "Members@odata.count": 1,
    }


def test_count_of_one_page_of_many_stays_that_of_all() -> None:
    body: JsonValue = {
        "Members": [{"@odata.id": f"{ROOT}/Systems/1"}],
        "Members@odata.count": 40,
    }
    north: Any = LINKS.north(body)
    assert north["Members@odata.count"] == 40


@pytest.mark.parametrize("body", [None, [], {}, "text", 5, [[[]]], {"a": [{}]}])
def test_body_without_links_stays(body: JsonValue) -> None:
    assert LINKS.north(body) == body
