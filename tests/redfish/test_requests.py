"""Bodies checked before anything starts."""

from typing import Any

import pytest
from pydantic import JsonValue, ValidationError

from taskfish.redfish.requests import (
    NewSourceBody,
    SourceChange,
    check_body,
    messages_of,
)

METHOD = "/redfish/v1/AggregationService/ConnectionMethods/Redfish"
SOURCE: dict[str, Any] = {
    "HostName": "bmc.example",
    "Links": {"ConnectionMethod": {"@odata.id": METHOD}},
}


def found(operation: str, body: JsonValue) -> list[tuple[str, tuple[str, ...]]]:
    """Return keys and arguments of what is wrong with a body."""
    return [
        (message.message_id.rpartition(".")[2], message.message_args)
        for message in check_body(operation, body)
    ]


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("ComputerSystem.Reset", {"ResetType": "ForceRestart"}),
        ("ComputerSystem.Reset", {}),
        ("ComputerSystem.Reset", {"ResetType": "On", "Oem": {"Acme": 1}}),
        ("Volume.Create", {"RAIDType": "RAID5", "CapacityBytes": 0}),
        ("Volume.Create", {"Links": {"Drives": [{"@odata.id": "/x"}]}}),
        ("Volume.Create", {"@Redfish.OperationApplyTime": "OnReset"}),
        ("UpdateService.SimpleUpdate", {"ImageURI": "x", "Targets": ["/a"]}),
        ("VirtualMedia.InsertMedia", {"Image": "http://x", "Inserted": True}),
        ("Bios.Update", {"Attributes": {"a": None, "b": [1]}}),
        ("ComputerSystem.Update", {"Boot": {"BootSourceOverrideTarget": "Pxe"}}),
        ("Oem.POST", {"anything": [1, 2]}),
        ("Drive.Update", {"IndicatorLED": "Lit"}),
    ],
)
def test_good_body_passes(operation: str, body: JsonValue) -> None:
    assert found(operation, body) == []


@pytest.mark.parametrize(
    ("operation", "body", "key", "args"),
    [
        (
            "Chassis.Reset",
            {"ResetType": "Boom"},
            "ActionParameterValueNotInList",
            ("Boom", "ResetType", "Chassis.Reset"),
        ),
        (
            "Manager.Reset",
            {"ResetType": 7},
            "ActionParameterValueTypeError",
            ("7", "ResetType", "Manager.Reset"),
        ),
        (
            "VirtualMedia.InsertMedia",
            {},
            "ActionParameterMissing",
            ("VirtualMedia.InsertMedia", "Image"),
        ),
        (
            "VirtualMedia.InsertMedia",
            {"Image": "x", "Inserted": "yes"},
            "ActionParameterValueTypeError",
            ("yes", "Inserted", "VirtualMedia.InsertMedia"),
        ),
        (
            "Bios.Update",
            {"Attributes": []},
            "PropertyValueTypeError",
            ("[]", "Attributes"),
        ),
        ("ComputerSystem.Update", {"Boot": 1}, "PropertyValueTypeError", ("1", "Boot")),
        (
            "Manager.Reset",
            {"ResetType": True},
            "ActionParameterValueTypeError",
            ("true", "ResetType", "Manager.Reset"),
        ),
        (
            "VirtualMedia.InsertMedia",
            {"Image": None},
            "ActionParameterValueTypeError",
            ("null", "Image", "VirtualMedia.InsertMedia"),
        ),
        (
            "Bios.Update",
            {"Attributes": ["ä", None]},
            "PropertyValueTypeError",
            ('["ä", null]', "Attributes"),
        ),
        (
            "Volume.Create",
            {"CapacityBytes": 1.5},
            "PropertyValueTypeError",
            ("1.5", "CapacityBytes"),
        ),
        (
            "Volume.Create",
            {"Links": {"Drives": [1]}},
            "PropertyValueTypeError",
            ("1", "Links/Drives/0"),
        ),
    ],
)
def test_bad_body_is_named(
    operation: str, body: JsonValue, key: str, args: tuple[str, ...]
) -> None:
    assert found(operation, body) == [(key, args)]


@pytest.mark.parametrize("body", [None, [], "x"])
def test_body_that_is_no_object_is_refused(body: JsonValue) -> None:
    assert found("Volume.Create", body)


def test_long_values_are_shown_short() -> None:
    ((_, args),) = found("Volume.Create", {"RAIDType": "R" * 500})
    assert len(args[0]) <= 80


@pytest.mark.parametrize(
    "host",
    [
        "bmc.example",
        "bmc.example:8443",
        "https://bmc.example",
        "http://10.0.0.1:8080/",
        "10.0.0.1",
        "[fe80::1]:443",
        "https://[::1]",
        "bmc_1",
    ],
)
def test_good_host_names_pass(host: str) -> None:
    assert NewSourceBody.model_validate({**SOURCE, "HostName": host}).host_name == host


def test_errors_never_show_a_password() -> None:
    body = {"Password": {"deep": "swordfish"}, "UserName": ["swordfish"]}
    with pytest.raises(ValidationError) as error:
        SourceChange.model_validate(body)
    password, *_ = [m for m in messages_of(error.value) if "Password" in m.message_args]
    assert "swordfish" not in str(password)


def test_unknown_vendor_parts_of_a_source_are_ignored() -> None:
    body = {**SOURCE, "Oem": {"Acme": {"Rack": 7}}}
    assert NewSourceBody.model_validate(body).oem is not None


@pytest.mark.parametrize("name", ["UserName", "Name"])
@pytest.mark.parametrize("value", ["a\0b", "a\r\nX-Injected: 1", "\x7f", "a" * 256])
def test_name_of_a_source_has_no_control_characters(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NewSourceBody.model_validate({**SOURCE, name: value})
    (message,) = messages_of(caught.value)
    assert message.message_id.endswith("PropertyValueFormatError")
