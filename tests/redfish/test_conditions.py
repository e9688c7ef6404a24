import pytest
from pydantic import JsonValue

from taskfish.redfish.conditions import Condition, Test

BODY: JsonValue = {
    "PowerState": "On",
    "LastResetTime": None,
    "Members": [{"@odata.id": "/a", "Name": "a"}, "b"],
}


@pytest.mark.parametrize(
    ("pointer", "test", "value", "holds"),
    [
        ("/PowerState", "is", "On", True),
        ("/PowerState", "is", "Off", False),
        ("/Nothing", "is", None, True),
        ("/PowerState", "is_not", "Off", True),
        ("/PowerState", "is_not", "On", False),
        ("/LastResetTime", "is_not", "yesterday", False),
        ("/Nothing/There", "is_not", "yesterday", False),
        ("/Members", "has", {"@odata.id": "/a"}, True),
        ("/Members", "has", {"@odata.id": "/b"}, False),
        ("/Members", "has", "b", True),
        ("/PowerState", "has", "On", False),
    ],
)
def test_condition_holds(
    pointer: str, test: Test, value: JsonValue, holds: bool
) -> None:
    condition = Condition(pointer=pointer, value=value, test=test)
    assert condition.holds(BODY) is holds
