"""ActionInfo out of models."""

from pathlib import Path
from typing import Annotated, Literal
from xml.etree import ElementTree

from pydantic import BaseModel, Field, JsonValue

from taskfish.redfish.action_parameters import OBJECT_TYPE, action_parameters
from workflows.operations import OPERATIONS

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"


class Inner(BaseModel):
    """An object in another."""

    a: int


class Other(BaseModel):
    """Another object."""

    b: int


class Model(BaseModel):
    """Something of each kind."""

    flag: bool = False
    whole: int = Field(ge=1, le=9)
    part: float | None = Field(default=None, description="A part.")
    word: str = Field(pattern="^a+$", alias="Word")
    choice: Literal["A", "B"] = "B"
    only: Literal["One"]
    inner: Inner | None = Field(
        default=None, json_schema_extra={OBJECT_TYPE: "#Volume.v1_0_0.Volume"}
    )
    anything: dict[str, JsonValue]
    words: tuple[str, ...] = ()
    numbers: Annotated[list[int], Field(min_length=1, max_length=3)]
    several: list[Inner | Other]


def described(name: str) -> dict[str, JsonValue]:
    """Return what is said of a parameter, but for its name."""
    (found,) = [each for each in action_parameters(Model) if each.name == name]
    return {key: value for key, value in found.described.items() if key != "Name"}


def test_parameter_is_what_its_field_is() -> None:
    needed = {"Required": True}
    optional = {"Required": False}
    flag = {"DataType": "Boolean", "DefaultValue": "false"}
    assert described("flag") == optional | flag
    limits = {"MinimumValue": 1, "MaximumValue": 9}
    assert described("whole") == needed | limits | {"DataType": "Number"}
    assert described("part") == optional | {"DataType": "Number"}
    pattern = {"AllowablePattern": "^a+$"}
    assert described("Word") == needed | pattern | {"DataType": "String"}
    assert described("choice") == optional | {
        "DataType": "String",
        "AllowableValues": ["A", "B"],
        "DefaultValue": "B",
    }
    assert described("only")["AllowableValues"] == ["One"]
    assert described("inner") == optional | {
        "DataType": "Object",
        OBJECT_TYPE: "#Volume.v1_0_0.Volume",
    }
    assert described("anything") == needed | {"DataType": "Object"}
    assert described("words") == optional | {"DataType": "StringArray"}
    sizes = {"ArraySizeMinimum": 1, "ArraySizeMaximum": 3}
    assert described("numbers") == needed | sizes | {"DataType": "NumberArray"}
    assert described("several") == needed | {"DataType": "ObjectArray"}


def test_words_are_the_descriptions() -> None:
    words = {each.name: each.words for each in action_parameters(Model)}
    assert words["part"] == "A part."
    for operation in OPERATIONS.values():
        for each in action_parameters(operation.parameters):
            assert each.words.endswith("."), f"{operation.operation} {each.name}"


def test_everything_said_is_of_the_schema(dmtf: Path) -> None:
    document = ElementTree.parse(dmtf / "csdl" / "ActionInfo_v1.xml")
    names = {each.attrib["Name"] for each in document.iter(f"{EDM}Property")}
    types = {each.attrib["Name"] for each in document.iter(f"{EDM}Member")}
    models: list[type[BaseModel]] = [Model]
    models += [each.parameters for each in OPERATIONS.values()]
    for each in (each for model in models for each in action_parameters(model)):
        assert set(each.described) <= names
        assert each.data_type in types
