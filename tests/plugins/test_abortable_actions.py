"""What a system says of the resets that can be aborted."""

import pytest
from pydantic import JsonValue

from taskfish.plugins.abortable_actions import ODATA_TYPE, with_abortable_actions
from taskfish.plugins.protocol import ABORTABLE_RESETS
from taskfish.redfish.task import Answer

TARGET = "/redfish/v1/Systems/rack7.1/Actions/ComputerSystem.Reset"


def system(kinds: JsonValue = None, **more: JsonValue) -> dict[str, JsonValue]:
    reset: dict[str, JsonValue] = {"target": TARGET}
    if kinds is not None:
        reset["ResetType@Redfish.AllowableValues"] = kinds
    return {"Id": "rack7.1", "Actions": {"#ComputerSystem.Reset": reset}, **more}


@pytest.mark.parametrize(
    ("kinds", "resets", "shown"),
    [
        (["On", "Nmi", "GracefulShutdown"], None, ["GracefulShutdown", "Nmi"]),
        (None, None, list(ABORTABLE_RESETS)),
        ("Nmi", None, list(ABORTABLE_RESETS)),
        (["On", "ForceOff"], None, []),
        ([], None, []),
        (["GracefulShutdown"], (), []),
        ([7, None, {}, "Nmi"], None, ["Nmi"]),
    ],
)
def test_system_shows_what_it_lists_and_the_adapter_can_abort(
    kinds: JsonValue, resets: tuple[str, ...] | None, shown: list[str]
) -> None:
    can = ABORTABLE_RESETS if resets is None else resets
    answer = with_abortable_actions(Answer(status=200, body=system(kinds)), can)
    assert isinstance(answer.body, dict)
    ours: JsonValue = {"@odata.type": ODATA_TYPE, "AbortableActions": [*shown]}
    assert answer.body["Oem"] == {"Taskfish": ours}


def test_oem_parts_of_the_source_stay() -> None:
    oem: JsonValue = {"Dell": {"x": 1}, "Taskfish": {"Other": True}}
    answer = with_abortable_actions(
        Answer(status=200, body=system(Oem=oem)), ABORTABLE_RESETS
    )
    assert isinstance(answer.body, dict)
    shown = answer.body["Oem"]
    assert isinstance(shown, dict)
    assert shown["Dell"] == {"x": 1}
    assert isinstance(shown["Taskfish"], dict)
    assert shown["Taskfish"]["Other"] is True
    assert shown["Taskfish"]["AbortableActions"] == [*ABORTABLE_RESETS]


def test_source_that_is_a_gateway_has_the_last_word() -> None:
    oem: JsonValue = {"Taskfish": {"AbortableActions": ["Nmi", "ForceOff"]}}
    answer = with_abortable_actions(
        Answer(status=200, body=system(Oem=oem)), ABORTABLE_RESETS
    )
    assert "'AbortableActions': ['Nmi']" in str(answer.body)


@pytest.mark.parametrize(
    "body",
    [
        None,
        "text",
        [],
        {},
        {"error": {"code": "Base.1.0.ResourceNotFound"}},
        {"Actions": None},
        {"Actions": {"#ComputerSystem.SetDefaultBootOrder": {"target": TARGET}}},
        {"Actions": {"#ComputerSystem.Reset": "no object"}},
    ],
)
def test_what_cannot_be_reset_stays_as_it_is(body: JsonValue) -> None:
    answer = Answer(status=200, body=body)
    assert with_abortable_actions(answer, ABORTABLE_RESETS) == answer


def test_odd_oem_parts_do_no_harm() -> None:
    answer = with_abortable_actions(
        Answer(status=200, body=system(["Nmi"], Oem="none")), ABORTABLE_RESETS
    )
    assert "'AbortableActions': ['Nmi']" in str(answer.body)
