"""Our multi-step operations in the schema of our Oem actions (CSDL)."""

from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from pydantic import BaseModel

from taskfish.redfish.action_parameters import (
    OBJECT_TYPE,
    ActionParameter,
    action_parameters,
)
from taskfish.redfish.operations import action_owner
from taskfish.redfish.schema import SCHEMA

_OEM_ACTIONS_SINCE = {"TaskService": "v1_1_0"}
"""The first version of a schema whose Actions have an Oem; else it is v1_0_0."""
_EDM_TYPES = {"Boolean": "Edm.Boolean", "Number": "Edm.Decimal", "String": "Edm.String"}
_OURS = "#Taskfish."
_ANY_OBJECT = "Resource.OemObject"


@dataclass(frozen=True)
class DeclaredAction:
    """An action: its `name` without a namespace, which resources have it, what it is in
    words, and what it takes.
    """

    name: str
    resources: str
    words: str
    parameters: type[BaseModel]


def action_declarations(actions: Iterable[DeclaredAction]) -> str:
    """Return the `Action` elements of actions."""
    return "".join(_action(action) for action in actions)


def _action(action: DeclaredAction) -> str:
    kind = SCHEMA.kind_at(action_owner(action.resources))
    assert kind is not None, f"{action.resources} have a schema"
    since = _OEM_ACTIONS_SINCE.get(kind.type, "v1_0_0")
    words = " ".join(action.words.split())
    first = f"{words.partition('. ')[0].rstrip('.')}."
    rows = [
        f'      <Action Name={quoteattr(action.name)} IsBound="true">',
        *_described(8, first, f"This action shall start a task: {words}"),
        f'        <Parameter Name="{kind.type}" '
        f'Type="{kind.type}.{since}.OemActions"/>',
    ]
    for parameter in action_parameters(action.parameters):
        rows += _parameter(parameter)
    return "\n".join([*rows, "      </Action>", "", ""])


def _parameter(parameter: ActionParameter) -> list[str]:
    is_needed = parameter.described["Required"]
    words = parameter.words
    return [
        f"        <Parameter Name={quoteattr(parameter.name)} "
        f'Type="{_edm_type(parameter)}" Nullable="{str(not is_needed).lower()}">',
        *_described(10, words, f"This parameter shall contain: {words}"),
        "        </Parameter>",
    ]


def _edm_type(parameter: ActionParameter) -> str:
    """Return the type of a parameter; an object of another schema is any object."""
    item = parameter.data_type.removesuffix("Array")
    object_type = str(parameter.described.get(OBJECT_TYPE, ""))
    is_ours = object_type.startswith(_OURS)
    name = _EDM_TYPES.get(item, object_type[1:] if is_ours else _ANY_OBJECT)
    return f"Collection({name})" if item != parameter.data_type else name


def _described(indent: int, words: str, long_words: str) -> list[str]:
    return [
        f'{" " * indent}<Annotation Term="OData.{term}" String={quoteattr(text)}/>'
        for term, text in (("Description", words), ("LongDescription", long_words))
    ]
