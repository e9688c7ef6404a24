"""Our messages against DMTF's registries."""

import json
from pathlib import Path

import pytest

from taskfish.redfish.messages import (
    REGISTRIES,
    Entry,
    base_message,
    error_body,
    status_of,
    task_message,
)

OURS = [
    (registry, key, entry)
    for registry, entries in REGISTRIES.items()
    for key, entry in entries.items()
]


@pytest.mark.parametrize(("registry", "key", "entry"), OURS)
def test_message_is_that_of_the_registry(
    dmtf: Path, registry: str, key: str, entry: Entry
) -> None:
    (file,) = (dmtf / "registries").glob(f"{registry}.*.json")
    theirs = json.loads(file.read_text())["Messages"][key]
    assert entry.severity == theirs["MessageSeverity"]
    assert entry.number_of_args == theirs.get("NumberOfArgs", 0)


@pytest.mark.parametrize(("registry", "key", "entry"), OURS)
def test_message_is_in_our_own_words(
    dmtf: Path, registry: str, key: str, entry: Entry
) -> None:
    (file,) = (dmtf / "registries").glob(f"{registry}.*.json")
    theirs = json.loads(file.read_text())["Messages"][key]
    assert entry.text != theirs["Message"]


def test_arguments_stand_in_the_text() -> None:
    message = base_message("PropertyValueTypeError", "5", "Name")
    assert message.message == "The value '5' of property Name has the wrong type."
    assert message.message_args == ("5", "Name")


@pytest.mark.parametrize("args", [(), ("5",), ("5", "Name", "more")])
def test_message_is_not_built_with_other_arguments(args: tuple[str, ...]) -> None:
    with pytest.raises(AssertionError, match="PropertyValueTypeError"):
        base_message("PropertyValueTypeError", *args)


def test_severity_is_always_said() -> None:
    assert task_message("TaskStarted", "t").to_json()["MessageSeverity"] == "OK"


def test_several_messages_make_a_general_error() -> None:
    body = error_body(base_message("MalformedJSON"), base_message("InternalError"))
    error = body["error"]
    assert isinstance(error, dict)
    assert str(error["code"]).endswith("GeneralError")
    assert isinstance(error["@Message.ExtendedInfo"], list)
    assert len(error["@Message.ExtendedInfo"]) == 2


def test_unknown_message_is_the_clients_fault() -> None:
    foreign = base_message("InternalError").model_copy(
        update={"message_id": "Vendor.1.0.Odd"}
    )
    assert status_of(foreign) == 400
    assert status_of(base_message("ResourceMissingAtURI", "/x")) == 404


@pytest.mark.parametrize(("registry", "key", "entry"), OURS)
def test_every_message_reads_well(registry: str, key: str, entry: Entry) -> None:
    assert entry.text.endswith(".")
    assert entry.resolution.endswith(".")
    assert entry.status in (200, *range(400, 418), 500, 501, 503)


def test_text_in_an_argument_is_no_place() -> None:
    message = base_message("PropertyValueNotInList", "%2", "Name")
    assert "'%2' of property Name" in message.message
