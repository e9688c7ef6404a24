"""What a list may ask of tasks: a query for Temporal, and the same of one task.

Visibility lags, so a task that was read is asked the same as those that are listed. A
comparison with what a task does not have is false, and its opposite true (OData 5.1.1).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Protocol, TypeVar

from api.errors import refuse
from api.task_view import TaskView
from api.temporal_queries import quoted
from taskfish.errors import RequestRefusedError
from taskfish.temporal import MAX_SEARCH_ATTRIBUTE

Value = str | datetime | None
"""What a property is compared with."""
_OPPOSITES = {"=": "!=", "!=": "=", ">": "<=", ">=": "<", "<": ">=", "<=": ">"}
_SIGNS = {"eq": "=", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
OPERATORS = tuple(_SIGNS)
"""The comparisons of DSP0266 7.3.4."""
Comparable = TypeVar("Comparable", str, datetime)


@dataclass(frozen=True)
class Condition:
    """What a task has to satisfy: `query` for Temporal, `unless` its opposite there,
    `holds` for a task that was read.
    """

    query: str
    unless: str
    holds: Callable[[TaskView], bool]

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(
            f"({self.query} AND {other.query})",
            f"({self.unless} OR {other.unless})",
            lambda view: self.holds(view) and other.holds(view),
        )

    def __or__(self, other: "Condition") -> "Condition":
        return Condition(
            f"({self.query} OR {other.query})",
            f"({self.unless} AND {other.unless})",
            lambda view: self.holds(view) or other.holds(view),
        )

    def __invert__(self) -> "Condition":
        return Condition(self.unless, self.query, lambda view: not self.holds(view))


class Property(Protocol):
    """A property of a Task that a list may be narrowed by."""

    def compare(self, operator: str, value: Value) -> Condition:
        """Return the comparison; raise 400 for one that it cannot have."""


@dataclass(frozen=True)
class Text:
    """A property that is text: its search attribute, and what it is of a task."""

    name: str
    attribute: str
    of: Callable[[TaskView], str | None]

    def compare(self, operator: str, value: Value) -> Condition:
        """Compare by the order of characters."""
        text = _text(self.name, value)
        return _compared(self.attribute, self.of, operator, text, quoted(text))

    def starts_with(self, value: Value) -> Condition:
        """Ask for a beginning."""
        text = _text(self.name, value)
        return Condition(
            f"{self.attribute} STARTS_WITH {quoted(text)}",
            f"({self.attribute} NOT STARTS_WITH {quoted(text)} "
            f"OR {self.attribute} IS NULL)",
            lambda view: (self.of(view) or "").startswith(text),
        )


@dataclass(frozen=True)
class Moment:
    """A property that is a time; null while there is none yet.

    `own` is the attribute of adopted tasks, whose times are their source's.
    """

    name: str
    attribute: str
    own: str
    of: Callable[[TaskView], datetime | None]

    def compare(self, operator: str, value: Value) -> Condition:
        """Compare with a time, or by eq and ne with null."""
        if value is None and operator in ("eq", "ne"):
            none = Condition(
                f"{self.attribute} IS NULL",
                f"{self.attribute} IS NOT NULL",
                lambda view: self.of(view) is None,
            )
            return none if operator == "eq" else ~none
        moment = _moment(self.name, value)
        written = f"'{moment:%Y-%m-%dT%H:%M:%S.%f}Z'"
        run = _compared(self.attribute, self.of, operator, moment, written)
        sign = _SIGNS[operator]
        return Condition(
            self._whose(sign, written, run.query),
            self._whose(_OPPOSITES[sign], written, run.unless),
            run.holds,
        )

    def _whose(self, sign: str, written: str, query: str) -> str:
        """Return the query for the source's time where there is one, else the run's."""
        return f"({self.own} {sign} {written} OR ({self.own} IS NULL AND {query}))"


@dataclass(frozen=True)
class Choice:
    """A property that has one of some values: the query for each of them; `absent` is
    the query for a task that has none.
    """

    name: str
    queries: Mapping[str, str]
    of: Callable[[TaskView], str | None]
    absent: str | None = None

    def compare(self, operator: str, value: Value) -> Condition:
        """Ask for one value, or by `ne` for any other."""
        if operator not in ("eq", "ne"):
            how = f"{self.name} is compared by eq, ne and in."
            raise bad_value(self.name, operator, how)
        same = self.one(value)
        return same if operator == "eq" else ~same

    def one(self, value: Value) -> Condition:
        """Ask for one value; its opposite is each of the others."""
        queries: dict[Value, str] = {
            each: query for each, query in self.queries.items()
        }
        if self.absent is not None:
            queries[None] = self.absent
        if value not in queries:
            raise unknown_value(self.name, str(value), self.queries)
        others = (query for each, query in queries.items() if each != value)
        return Condition(
            queries[value],
            f"({' OR '.join(others)})",
            lambda view: self.of(view) == value,
        )


@dataclass(frozen=True)
class Texts:
    """A property that holds several texts: one of them is enough."""

    name: str
    attribute: str
    of: Callable[[TaskView], Sequence[str]]

    def compare(self, operator: str, value: Value) -> Condition:
        """Ask for a text that is among them, or by `ne` for one that is not."""
        if operator not in ("eq", "ne"):
            how = f"{self.name} is compared by eq, ne and in."
            raise bad_value(self.name, operator, how)
        text = _text(self.name, value)
        has = Condition(
            f"{self.attribute} = {quoted(text)}",
            f"({self.attribute} != {quoted(text)} OR {self.attribute} IS NULL)",
            lambda view: text in self.of(view),
        )
        return has if operator == "eq" else ~has


def any_of(conditions: Iterable[Condition]) -> Condition:
    """Ask for one of some conditions."""
    return reduce(Condition.__or__, conditions)


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Ask for all of some conditions."""
    return reduce(Condition.__and__, conditions)


def of_resource(uri: str) -> Condition:
    """Ask for the tasks that change a resource, or what lies below it."""
    itself, below = quoted(uri), quoted(f"{uri}/")
    return Condition(
        f"(TaskTarget = {itself} OR TaskTarget STARTS_WITH {below} "
        f"OR TaskResources = {itself})",
        f"(((TaskTarget != {itself} AND TaskTarget NOT STARTS_WITH {below}) "
        "OR TaskTarget IS NULL) "
        f"AND (TaskResources != {itself} OR TaskResources IS NULL))",
        lambda view: (
            f"{view.request.uri}/".startswith(f"{uri}/") or uri in view.labels.resources
        ),
    )


def bad_value(name: str, value: str, how: str) -> RequestRefusedError:
    """Return the 400 for a query option that cannot be answered."""
    shown = value if len(value) <= 80 else f"{value[:80]}…"
    return refuse("QueryParameterValueFormatError", shown, name, resolution=how)


def unknown_value(name: str, value: str, known: Iterable[str]) -> RequestRefusedError:
    """Return the 400 for a value that is none of those that there are."""
    return bad_value(name, value, f"Choose one of {', '.join(sorted(known))}.")


def _compared(
    attribute: str,
    of: Callable[[TaskView], Comparable | None],
    operator: str,
    value: Comparable,
    written: str,
) -> Condition:
    sign = _SIGNS[operator]
    query = f"{attribute} {sign} {written}"
    unless = f"{attribute} {_OPPOSITES[sign]} {written}"
    without = f"{attribute} IS NULL"
    is_unequal = operator == "ne"

    def holds(view: TaskView) -> bool:
        found = of(view)
        if found is None:
            return is_unequal
        return {
            "eq": found == value,
            "ne": found != value,
            "gt": found > value,
            "ge": found >= value,
            "lt": found < value,
            "le": found <= value,
        }[operator]

    return Condition(
        f"({query} OR {without})" if is_unequal else query,
        unless if is_unequal else f"({unless} OR {without})",
        holds,
    )


def _text(name: str, value: Value) -> str:
    """Return a text that Temporal can look for."""
    if not isinstance(value, str):
        raise bad_value(name, str(value), "It is compared with a text in quotes.")
    if len(value) > MAX_SEARCH_ATTRIBUTE or not value.isprintable():
        how = f"It has at most {MAX_SEARCH_ATTRIBUTE} printable characters."
        raise bad_value(name, value, how)
    return value


def _moment(name: str, value: Value) -> datetime:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        if found is not None:
            zoned = found if found.tzinfo else found.replace(tzinfo=UTC)
            return zoned.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    how = "It is compared with a time, as 2026-11-27T12:00:00Z."
    raise bad_value(name, str(value), how)
