"""Which tasks a list shows: `$filter` (DSP0266 7.3.4) and its short forms for people.

What visibility cannot tell is refused, not ignored.
"""

from collections.abc import Callable, Iterable, Mapping

from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser
from starlette.datastructures import QueryParams

from api.errors import refuse
from api.task_conditions import (
    OPERATORS,
    Choice,
    Condition,
    Moment,
    Property,
    Text,
    Texts,
    Value,
    all_of,
    any_of,
    bad_value,
    of_resource,
    unknown_value,
)
from taskfish.redfish.links import ROOT
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.task import Health, TaskState

FILTER = "$filter"
LONGEST_FILTER = 2000
"""Characters: a list never needs more."""
MOST_VALUES = 100
"""How many alternatives one name of the short forms may have."""
GROUPS: Mapping[str, tuple[TaskState, ...]] = {
    "active": tuple(state for state in TaskState if not state.ended),
    "ended": tuple(state for state in TaskState if state.ended),
}
"""Values of `state` that stand for several."""
_OPEN = "ExecutionStatus = 'Running'"
_COMPLETED = "ExecutionStatus = 'Completed'"
_FAILED = "ExecutionStatus IN ('Failed', 'TimedOut')"
_CANCELLED = "ExecutionStatus = 'Canceled'"
_KILLED = "ExecutionStatus = 'Terminated'"
_ENDS = {
    TaskState.COMPLETED: _COMPLETED,
    TaskState.EXCEPTION: _FAILED,
    TaskState.CANCELLED: _CANCELLED,
    TaskState.KILLED: _KILLED,
}
_STATE = Choice(
    "TaskState",
    {
        state.value: _ENDS.get(state, f"(TaskState = '{state.value}' AND {_OPEN})")
        for state in TaskState
    },
    lambda view: view.state.value,
)
_STATUS = Choice(
    "TaskStatus",
    {
        Health.OK.value: (
            f"({_COMPLETED} AND (TaskStatus = 'OK' OR TaskStatus IS NULL))"
        ),
        Health.WARNING.value: (
            f"(({_COMPLETED} AND TaskStatus = 'Warning') OR {_CANCELLED})"
        ),
        Health.CRITICAL.value: f"({_FAILED} OR {_KILLED})",
    },
    lambda view: view.status.value if view.status else None,
    absent=_OPEN,
)
_OEM = "Oem/Taskfish/"
_PROPERTIES: tuple[Text | Moment | Choice | Texts, ...] = (
    _STATE,
    _STATUS,
    Moment("StartTime", "StartTime", "TaskBegan", lambda view: view.started),
    Moment("EndTime", "CloseTime", "TaskEnded", lambda view: view.ended),
    Text("Name", "TaskName", lambda view: view.request.name),
    Text("Id", "WorkflowId", lambda view: view.id),
    Text(f"{_OEM}Operation", "TaskOperation", lambda view: view.labels.operation),
    Text(f"{_OEM}TargetResource", "TaskTarget", lambda view: view.request.uri),
    Text(f"{_OEM}ResourceType", "TaskResourceType", lambda v: v.labels.resource_type),
    Text(f"{_OEM}Source", "TaskSource", lambda view: view.labels.source),
    Text(f"{_OEM}Owner", "TaskOwner", lambda view: view.labels.owner),
    Text(f"{_OEM}RequestId", "TaskRequestId", lambda view: view.labels.request_id),
    Texts(f"{_OEM}Tags", "TaskTags", lambda view: view.labels.tags),
)
PROPERTIES: Mapping[str, Property] = {each.name: each for each in _PROPERTIES}
"""What `$filter` may compare."""
_COMPARATORS: Mapping[type[ast._Comparator], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Lt: "lt",
    ast.LtE: "le",
}
_TURNED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}


def condition_of(params: QueryParams) -> Condition | None:
    """Return what a request asks of tasks, None if nothing.

    Of the short forms values of one name are alternatives, names are combined, with
    `$filter` too. Raises 400 that says which properties and values there are.
    """
    asked = []
    for name, condition in _SHORT_FORMS.items():
        values = params.getlist(name)
        if len(values) > MOST_VALUES:
            raise bad_value(name, values[-1], f"Give at most {MOST_VALUES} values.")
        if values:
            asked.append(any_of(condition(value) for value in values))
    filters = params.getlist(FILTER)
    if len(filters) > 1:
        raise refuse("QueryCombinationInvalid")
    asked += [_parsed(text) for text in filters]
    return all_of(asked) if asked else None


def of_owner(name: str) -> Condition:
    """Ask for the tasks that somebody has started."""
    return PROPERTIES[f"{_OEM}Owner"].compare("eq", name)


def one_of(name: str, values: Iterable[str]) -> Condition:
    """Ask for the tasks of which a property is one of some texts."""
    return any_of(PROPERTIES[name].compare("eq", value) for value in values)


def _states(value: str) -> Condition:
    """Return the condition of `state=…`: a state in any case, or a group of them."""
    known = {**{state.value.lower(): (state,) for state in TaskState}, **GROUPS}
    states = known.get(value.lower())
    if states is None:
        raise unknown_value("state", value, known)
    return any_of(_STATE.one(state.value) for state in states)


def _subtree(value: str) -> Condition:
    uri = value.rstrip("/")
    if not f"{uri}/".startswith(f"{ROOT}/"):
        raise bad_value("resource", value, f"Give the URI of a resource below {ROOT}.")
    return of_resource(uri)


def _resource_type(value: str) -> Condition:
    if value not in SCHEMA.versions and value != "Oem":
        how = "Give a type of DMTF's schemas, as ComputerSystem or Volume, or Oem."
        raise bad_value("resourceType", value, how)
    return PROPERTIES[f"{_OEM}ResourceType"].compare("eq", value)


def _same(name: str) -> Callable[[str], Condition]:
    return lambda value: PROPERTIES[f"{_OEM}{name}"].compare("eq", value)


_SHORT_FORMS: Mapping[str, Callable[[str], Condition]] = {
    "state": _states,
    "tag": _same("Tags"),
    "resource": _subtree,
    "resourceType": _resource_type,
    "requestId": _same("RequestId"),
    "source": _same("Source"),
    "owner": _same("Owner"),
}


def _parsed(text: str) -> Condition:
    """Return the condition of a `$filter`; raise 400 for one that is none."""
    if len(text) > LONGEST_FILTER:
        raise bad_value(FILTER, text, f"It has at most {LONGEST_FILTER} characters.")
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(text))
        return _condition(tree)
    except (ODataException, AttributeError, RecursionError) as error:
        raise _not_understood(text) from error


def _condition(node: ast._Node | None) -> Condition:
    if isinstance(node, ast.BoolOp):
        left, right = _condition(node.left), _condition(node.right)
        return left & right if isinstance(node.op, ast.And) else left | right
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~_condition(node.operand)
    if isinstance(node, ast.Compare):
        return _comparison(node)
    if isinstance(node, ast.Call) and node.func.name == "startswith":
        return _starts_with(node)
    raise _not_understood(_written(node))


def _comparison(node: ast.Compare) -> Condition:
    left, right = _name(node.left), _name(node.right)
    if isinstance(node.comparator, ast.In) and isinstance(node.right, ast.List):
        values = [_value(each) for each in node.right.val]
        return any_of(_property(left).compare("eq", value) for value in values)
    operator = _COMPARATORS.get(type(node.comparator))
    if operator is None or (left is None) == (right is None):
        raise _not_understood(_written(node.left))
    if left is not None:
        return _property(left).compare(operator, _value(node.right))
    turned = _TURNED.get(operator, operator)
    return _property(right).compare(turned, _value(node.left))


def _starts_with(node: ast.Call) -> Condition:
    if len(node.args) != 2:
        raise _not_understood("startswith")
    found = _property(_name(node.args[0]))
    if not isinstance(found, Text):
        raise _not_understood("startswith")
    return found.starts_with(_value(node.args[1]))


def _property(name: str | None) -> Property:
    found = PROPERTIES.get(name or "")
    if found is None:
        how = f"Tasks are found by {', '.join(PROPERTIES)}."
        raise bad_value(FILTER, name or "a value", how)
    return found


def _name(node: object) -> str | None:
    """Return the path of a property, None for what is none."""
    if isinstance(node, ast.Identifier) and not node.namespace:
        return str(node.name)
    if isinstance(node, ast.Attribute):
        owner = _name(node.owner)
        return f"{owner}/{node.attr}" if owner else None
    return None


def _value(node: object) -> Value:
    """Return the value of a literal; what is none of a task's kinds fails later."""
    if isinstance(node, ast.Null):
        return None
    if isinstance(node, ast.String | ast.DateTime | ast.Date):
        return str(node.val)
    raise bad_value(FILTER, _written(node), "Compare with a text, a time or null.")


def _written(node: object) -> str:
    if isinstance(node, ast.Call):
        return f"{_name(node.func)}(…)"
    return str(getattr(node, "val", None) or _name(node) or "…")


def _not_understood(what: str) -> Exception:
    how = (
        f"Compare properties with values, texts in single quotes, by "
        f"{', '.join(OPERATORS)}, in with two values or more, or startswith; combine "
        "by and, or, not and parentheses."
    )
    return bad_value(FILTER, what, how)
