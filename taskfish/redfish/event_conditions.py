"""The `$filter` of a stream of events: OData's words, on an event's properties.

`eq`, `ne`, `and`, `or`, `not` and parentheses, on what SSEFilterPropertiesSupported
lists and Severity (DSP0266, event filters of server-sent events).
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser

from taskfish.redfish import event_vocabulary as vocabulary
from taskfish.redfish.event_filters import EventFilter
from taskfish.redfish.event_vocabulary import UnknownValueError
from taskfish.redfish.events import Event

LONGEST = 2000
MOST_COMPARISONS = 50
_DEEPEST = 20
_SUBORDINATES = "SubordinateResources"

Condition: TypeAlias = Callable[[Event], bool]


class ConditionError(ValueError):
    """A `$filter` cannot be followed; the text says which part, and what can."""


def condition_of(text: str) -> Condition:
    """Return what a `$filter` asks of an event; raise ConditionError.

    Shape: `(ResourceType eq 'Task') and not (Severity eq 'OK')`.
    """
    if len(text) > LONGEST:
        raise ConditionError(f"It has more than {LONGEST} characters.")
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(text.strip()))
    except ODataException as error:
        raise ConditionError("It is no filter of OData.") from error
    reading, conditions = _Reading(), []
    for part in _joined(tree, ast.And):
        if _property_of(part) == _SUBORDINATES:
            reading.with_subordinates = _is_true(part)
        else:
            conditions.append(part)
    return _all([reading.condition(part) for part in conditions])


class _Reading:
    """How a tree is read: whether an origin stands for all that lies in it too."""

    def __init__(self) -> None:
        self.with_subordinates = False
        self._comparisons = 0

    def condition(self, node: ast._Node, depth: int = 1) -> Condition:
        """Return what a part of the filter asks."""
        if depth > _DEEPEST:
            raise ConditionError(f"It is nested more than {_DEEPEST} deep.")
        match node:
            case ast.BoolOp(op=ast.And()):
                return _all(self._parts(node, ast.And, depth))
            case ast.BoolOp(op=ast.Or()):
                return _any(self._parts(node, ast.Or, depth))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _not(self.condition(operand, depth + 1))
            case ast.Compare(comparator=ast.Eq()):
                return self._comparison(node)
            case ast.Compare(comparator=ast.NotEq()):
                return _not(self._comparison(node))
        raise ConditionError("It may have eq, ne, and, or, not and parentheses only.")

    def _parts(
        self, node: ast._Node, operator: type[ast._BoolOpToken], depth: int
    ) -> list[Condition]:
        parts = _joined(node, operator)
        return [self.condition(part, depth + 1) for part in parts]

    def _comparison(self, node: ast.Compare) -> Condition:
        self._comparisons += 1
        if self._comparisons > MOST_COMPARISONS:
            raise ConditionError(f"It has more than {MOST_COMPARISONS} comparisons.")
        name = _property_of(node)
        if name == _SUBORDINATES:
            raise ConditionError(f"{name} has to be joined to all else by `and`.")
        value = _value_of(node)
        try:
            return self._filter(name, value)
        except UnknownValueError as error:
            words = (
                f"{name} has no value '{value[:80]}': choose one of {error.allowed}."
            )
            raise ConditionError(words) from error

    def _filter(self, name: str, value: str) -> Condition:
        match name:
            case "EventFormatType":
                if value != vocabulary.EVENT_FORMAT:
                    raise UnknownValueError(f"'{vocabulary.EVENT_FORMAT}'")
                return _anything
            case "MessageId":
                ids = (vocabulary.message_id(value),)
                return EventFilter(message_ids=ids).matches
            case "RegistryPrefix":
                prefixes = (vocabulary.registry_prefix(value),)
                return EventFilter(registry_prefixes=prefixes).matches
            case "ResourceType":
                types = (vocabulary.resource_type(value),)
                return EventFilter(resource_types=types).matches
            case "Severity":
                return EventFilter(severities=(vocabulary.severity(value),)).matches
            case "OriginResource":
                return EventFilter(
                    origins=(vocabulary.origin(value),),
                    subordinate_resources=self.with_subordinates,
                ).matches
        raise ConditionError(f"It may not ask for {name[:80] or 'that'}.")


def _joined(node: ast._Node, operator: type[ast._BoolOpToken]) -> Iterator[ast._Node]:
    """Yield the parts that an operator joins, however many and however nested."""
    pending = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, ast.BoolOp) and isinstance(each.op, operator):
            pending += (each.right, each.left)
        else:
            yield each


def _property_of(node: ast._Node) -> str:
    """Return the property that a comparison is about, "" for anything else."""
    match node:
        case ast.Compare(left=ast.Identifier(name=name, namespace=())):
            return name
    return ""


def _value_of(node: ast.Compare) -> str:
    """Return what is compared to: text, with quotes or, if it is one word, without."""
    match node.right:
        case ast.String(val=value) | ast.Identifier(name=value, namespace=()):
            return value
    raise ConditionError("What is compared to is a text in single quotes.")


def _is_true(node: ast._Node) -> bool:
    match node:
        case ast.Compare(comparator=ast.Eq(), right=ast.Boolean(val=value)):
            return value == "true"
    raise ConditionError(f"{_SUBORDINATES} is `eq true` or `eq false`.")


def _anything(_: Event) -> bool:
    return True


def _all(conditions: list[Condition]) -> Condition:
    return lambda event: all(each(event) for each in conditions)


def _any(conditions: list[Condition]) -> Condition:
    return lambda event: any(each(event) for each in conditions)


def _not(condition: Condition) -> Condition:
    return lambda event: not condition(event)
