"""The facts that are derived from DMTF's schemas, and what they are asked."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from taskfish.redfish.schema import SCHEMA
from tests.redfish.schema_data import derive


def test_committed_facts_are_those_of_the_schemas(dmtf: Path) -> None:
    committed = files("taskfish.redfish").joinpath("schema.json").read_text("utf-8")
    assert json.loads(committed) == derive(dmtf / "csdl")


@pytest.mark.parametrize(
    ("path", "kind", "methods"),
    [
        ("/redfish/v1/Systems/a.1", "ComputerSystem", ("PATCH", "DELETE")),
        ("/redfish/v1/Systems/a.1/Storage/1/Volumes", "VolumeCollection", ("POST",)),
        ("/redfish/v1/Systems/a.1/Bios", "Bios", ("PATCH",)),
        ("/redfish/v1/Systems/a.1/Bios/Settings", "Bios", ("PATCH", "PUT")),
        ("/redfish/v1/TaskService/Tasks/x", "Task", ("DELETE",)),
    ],
)
def test_kind_of_a_path_is_known(
    path: str, kind: str, methods: tuple[str, ...]
) -> None:
    found = SCHEMA.kind_at(path)
    assert found is not None
    assert (found.type, set(found.methods)) == (kind, set(methods))


@pytest.mark.parametrize(
    "path",
    [
        "/redfish/v1/Nonsense",
        "/redfish/v1/Systems/a.1/Oem/Acme",
        "/",
        "",
        "Settings",
        "/redfish/v2",
    ],
)
def test_unknown_path_has_no_kind(path: str) -> None:
    assert SCHEMA.kind_at(path) is None


def test_settings_of_nothing_have_no_kind() -> None:
    assert SCHEMA.kind_at("/redfish/v1/Systems/a.1/Nonsense/Settings") is None


def test_types_carry_their_newest_version() -> None:
    assert SCHEMA.odata_type("Task") == "#Task.v1_7_4.Task"
    assert SCHEMA.odata_type("TaskCollection") == "#TaskCollection.TaskCollection"


def test_members_of_a_collection_have_its_type() -> None:
    kind = SCHEMA.kind_at("/redfish/v1/Systems/a.1/Storage/1/Volumes")
    assert kind is not None
    assert (kind.member_type, kind.allowed) == ("Volume", ("GET", "HEAD", "POST"))
