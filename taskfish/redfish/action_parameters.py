"""The parameters of an action, as its ActionInfo lists them: derived from a model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, JsonValue

OBJECT_TYPE = "ObjectDataType"
"""In a field's `json_schema_extra`: the @odata.type of the object that it is."""
_TYPES = {
    "boolean": "Boolean",
    "integer": "Number",
    "number": "Number",
    "string": "String",
    "object": "Object",
}
_LIMITS = {
    "minimum": "MinimumValue",
    "maximum": "MaximumValue",
    "minItems": "ArraySizeMinimum",
    "maxItems": "ArraySizeMaximum",
    "pattern": "AllowablePattern",
    OBJECT_TYPE: OBJECT_TYPE,
}
"""What of a JSON Schema is called what in an ActionInfo (v1.5.0)."""


@dataclass(frozen=True)
class ActionParameter:
    """One parameter: `described` as in an ActionInfo, `words` for people."""

    name: str
    data_type: str
    described: dict[str, JsonValue]
    words: str


def action_parameters(model: type[BaseModel]) -> Iterator[ActionParameter]:
    """Yield the parameters that a model takes, under their names in a request."""
    schema = model.model_json_schema()
    known = schema.get("$defs", {})
    for name, given in schema.get("properties", {}).items():
        found = _resolved(given, known)
        described: dict[str, JsonValue] = {
            "Name": name,
            "Required": name in schema.get("required", ()),
            "DataType": _data_type(found, known),
        }
        described |= {
            ours: found[theirs] for theirs, ours in _LIMITS.items() if theirs in found
        }
        if allowed := found.get("enum"):
            described["AllowableValues"] = [str(value) for value in allowed]
        if isinstance(default := found.get("default"), str | int | float):
            described["DefaultValue"] = str(default)
        words = found.get("description", "")
        yield ActionParameter(name, _data_type(found, known), described, words)


def _resolved(found: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without a reference, and without the null of what is optional."""
    choices = [each for each in found.get("anyOf", ()) if each.get("type") != "null"]
    inner = choices[0] if len(choices) == 1 else found
    reference = inner.get("$ref", "").rpartition("/")[2]
    return {**found, **inner, **known.get(reference, {})} | {
        name: found[name] for name in ("description", OBJECT_TYPE) if name in found
    }


def _data_type(found: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Return a value of ActionInfo's ParameterTypes."""
    if found.get("type") != "array":
        return _TYPES.get(found.get("type", "object"), "Object")
    item = _resolved(found.get("items", {}), known)
    name = _TYPES.get(item.get("type", "object"), "Object")
    return f"{'Object' if name == 'Boolean' else name}Array"
