"""Apply times and windows: in DMTF's words, and off a body that others get."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import pytest
from pydantic import JsonValue

from taskfish.redfish.apply_time import (
    ApplyTimeValue,
    without_apply_time,
    without_window,
)
from taskfish.redfish.apply_time_support import (
    action_of,
    apply_time_support,
    supported_values,
    with_apply_times,
)
from taskfish.redfish.maintenance_window import MaintenanceWindow

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
APPLY_TIME, WINDOW = "@Redfish.OperationApplyTime", "@Redfish.MaintenanceWindow"
SUPPORT = "@Redfish.OperationApplyTimeSupport"
OWN = MaintenanceWindow(start=datetime(2030, 1, 1, tzinfo=UTC), seconds=60)
VOLUMES = "/redfish/v1/Systems/rack7.1/Storage/1/Volumes"


def members_of(schemas: Path, kind: str, name: str) -> set[str]:
    """Return what DMTF's Settings schema has below a type: properties or values."""
    tree = ElementTree.parse(schemas / "csdl" / "Settings_v1.xml")
    return {
        child.attrib["Name"]
        for each in tree.iter(f"{EDM}{kind}")
        if each.attrib["Name"] == name
        for child in each
        if "Name" in child.attrib
    }


def test_annotations_are_those_of_the_schema(dmtf: Path) -> None:
    support = apply_time_support("", OWN)
    known = members_of(dmtf, "ComplexType", "OperationApplyTimeSupport")
    assert support.keys() - {"@odata.type"} == known
    known = members_of(dmtf, "ComplexType", "MaintenanceWindow")
    assert OWN.to_json().keys() - {"@odata.type"} == known
    values = members_of(dmtf, "EnumType", "OperationApplyTime")
    assert set(get_args(ApplyTimeValue)) < values


@pytest.mark.parametrize(
    ("body", "bare", "windowless"),
    [
        ({"Name": "a"}, {"Name": "a"}, {"Name": "a"}),
        ({APPLY_TIME: "OnReset"}, None, {APPLY_TIME: "OnReset"}),
        (
            {"Name": "a", APPLY_TIME: "Immediate", WINDOW: {}},
            {"Name": "a"},
            {"Name": "a", APPLY_TIME: "Immediate"},
        ),
        ({WINDOW: {}}, {WINDOW: {}}, {WINDOW: {}}),
        (None, None, None),
        ([1], [1], [1]),
    ],
)
def test_body_goes_without_what_is_the_gateways(
    body: JsonValue, bare: JsonValue, windowless: JsonValue
) -> None:
    assert without_apply_time(body) == bare
    assert without_window(body) == windowless


@pytest.mark.parametrize(
    "holder",
    [
        None,
        [],
        {},
        {SUPPORT: None},
        {SUPPORT: []},
        {SUPPORT: {"SupportedValues": "OnReset"}},
        {SUPPORT: {"SupportedValues": [1, None]}},
    ],
)
def test_nothing_is_read_into_what_a_source_says(holder: JsonValue) -> None:
    assert supported_values(holder) == ()
    assert action_of(holder, "Bios.ResetBios") is None


def test_own_annotation_of_a_source_is_replaced() -> None:
    theirs: JsonValue = {SUPPORT: {"SupportedValues": ["OnStartUpdateRequest"]}}
    shown = with_apply_times(f"{VOLUMES}/1", theirs, None)
    assert supported_values(shown) == ("Immediate", "OnReset")


@pytest.mark.parametrize("actions", [None, [], "none", {"#A.B": None}, {"#A.B": {}}])
def test_actions_that_cannot_be_called_stay_as_they_are(actions: JsonValue) -> None:
    body: JsonValue = {"Actions": actions}
    assert with_apply_times("/redfish/v1/Systems/rack7.1", body, OWN) == body


def test_actions_of_vendors_are_annotated() -> None:
    body: JsonValue = {"Actions": {"Oem": {"#Contoso.Blink": {"target": "/x"}}}}
    shown = with_apply_times("/redfish/v1/Systems/rack7.1", body, None)
    assert isinstance(shown, dict)
    assert isinstance(shown["Actions"], dict)
    oem = shown["Actions"]["Oem"]
    assert isinstance(oem, dict)
    assert supported_values(oem["#Contoso.Blink"]) == ("Immediate", "OnReset")


def test_window_ends_after_its_seconds() -> None:
    assert OWN.end == OWN.start + timedelta(minutes=1)
