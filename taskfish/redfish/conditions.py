"""What a resource must show before an operation goes on."""

from typing import Literal, cast

from jsonpointer import JsonPointer, JsonPointerException
from pydantic import BaseModel, ConfigDict, JsonValue

_SHOWN = 200
"""Characters of a value that are told of."""
Test = Literal["is", "is_not", "has"]


class Condition(BaseModel):
    """What is to be at the JSON pointer `pointer` (RFC 6901).

    `is`: that `value`; `is_not`: another one, but one; `has`: a list with `value` among
    its items, or with an object that has all of its members. `value` may have values of
    earlier answers in it.

    What was true before a change proves nothing of it. With `settles`, what is shown
    does not count until `proof` is shown too, something else was shown first, or so
    many seconds have passed.
    """

    model_config = ConfigDict(frozen=True)

    pointer: str
    value: JsonValue
    test: Test = "is"
    proof: "Condition | None" = None
    settles: float = 0.0

    def holds(self, body: JsonValue) -> bool:
        """Say whether a resource's body shows it, settled or not."""
        found = self.shown(body)
        if self.test == "is_not":
            return found is not None and found != self.value
        if self.test == "has":
            items = found if isinstance(found, list) else []
            return any(_fits(item, self.value) for item in items)
        return found == self.value

    def shown(self, body: JsonValue) -> JsonValue:
        """Return what the body shows there, None for nothing."""
        try:
            return cast(JsonValue, JsonPointer(self.pointer).resolve(body))
        except JsonPointerException:
            return None

    @property
    def words(self) -> str:
        """It in words: `shows On at /PowerState`."""
        verb = {"is": "shows", "is_not": "shows something else than", "has": "lists"}
        return f"{verb[self.test]} {short(self.value)} at {self.pointer}"


def short(value: JsonValue) -> str:
    """Return the beginning of a value, for people."""
    return str(value)[:_SHOWN]


def _fits(item: JsonValue, wanted: JsonValue) -> bool:
    if isinstance(item, dict) and isinstance(wanted, dict):
        return item.items() >= wanted.items()
    return item == wanted
