"""What is wrong with plans, each fault with its place."""

from typing import Any

import pytest
from pydantic import ValidationError

from taskfish.redfish.plan_faults import plan_faults
from taskfish.redfish.steps import steps_of
from taskfish.redfish.written_plans import placed_steps, plan_of
from workflows.run_plan import WrittenPlan

SYSTEM = "/redfish/v1/Systems/bmc1.1"
UPDATE = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"
OURS = f"{SYSTEM}/Actions/Oem/Taskfish.CreateVolumeAndReset"
RUN_PLAN = "/redfish/v1/TaskService/Actions/Oem/Taskfish.RunPlan"
BULK = "/redfish/v1/AggregationService/Actions/AggregationService.Reset"
LOOK = {"Name": "look", "Method": "GET", "Uri": SYSTEM}
POST = {"Name": "post", "Method": "POST", "Uri": f"{SYSTEM}/Storage/1/Volumes"}


def faults(*steps: dict[str, Any]) -> list[str]:
    """Return where something is wrong with a plan."""
    plan = plan_of(WrittenPlan.model_validate({"Steps": steps}).steps)
    return [fault.parameter for fault in plan_faults(plan)]


def test_good_plans_have_no_faults() -> None:
    undo = {"Method": "DELETE", "Uri": "${post#/Location}", "Body": {}}
    until = {"Pointer": "/Members/0", "Value": "${post#/Location}"}
    assert faults(LOOK) == []
    assert (
        faults(LOOK, POST | {"Body": {"Name": "${look#/Body/Id}"}, "Undo": undo}) == []
    )
    last = {"Name": "last", "Method": "GET", "Uri": "${post#/Location}", "Until": until}
    inside = {"Name": "inside", "Method": "GET", "Uri": f"{SYSTEM}/${{look#/Body/Id}}"}
    assert faults(LOOK, POST, {"Together": [last, inside]}) == []
    ours = {"Name": "ours", "Method": "POST", "Uri": OURS}
    assert faults(ours, POST | {"Body": {"Name": "$${a}"}}) == []
    assert faults(POST | {"Uri": UPDATE, "Body": {"Targets": [SYSTEM]}}) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"Uri": "${nobody#/Location}"}, "Uri"),
        ({"Uri": "${post#/Location}"}, "Uri"),
        ({"Uri": "${later#/Location}"}, "Uri"),
        ({"Uri": "${look#/Bdy}"}, "Uri"),
        ({"Uri": f"{SYSTEM}/${{look}}"}, "Uri"),
        ({"Uri": ""}, "Uri"),
        ({"Uri": "Systems/bmc1.1"}, "Uri"),
        ({"Uri": "http://evil/redfish/v1/Systems/bmc1.1"}, "Uri"),
        ({"Uri": "//evil/redfish/v1/Systems/bmc1.1"}, "Uri"),
        ({"Uri": f"{SYSTEM}/../../AccountService"}, "Uri"),
        ({"Uri": f"{SYSTEM}/%2e%2e/x"}, "Uri"),
        ({"Uri": f"{SYSTEM}//x"}, "Uri"),
        ({"Uri": f"{SYSTEM}?a=b"}, "Uri"),
        ({"Uri": f"{SYSTEM}#x"}, "Uri"),
        ({"Uri": f"{SYSTEM}/ä"}, "Uri"),
        ({"Uri": f"{SYSTEM}/\n"}, "Uri"),
        ({"Uri": f"{SYSTEM}/{'x' * 255}"}, "Uri"),
        ({"Uri": "/redfish/v1"}, "Uri"),
        ({"Uri": "/redfish/v1/Systems"}, "Uri"),
        ({"Uri": "/redfish/v1/Systems/nodot"}, "Uri"),
        ({"Uri": "/redfish/v1/Managers/taskfish"}, "Uri"),
        ({"Uri": "/redfish/v1/Systems/${look#/Body/Id}"}, "Uri"),
        ({"Uri": "/redfish/v1/AccountService/Accounts"}, "Uri"),
        ({"Uri": "/redfish/v1/AggregationService/AggregationSources"}, "Uri"),
        ({"Uri": "/redfish/v1/EventService/Subscriptions"}, "Uri"),
        ({"Uri": "/redfish/v1/TaskService/Tasks/x"}, "Uri"),
        ({"Uri": "/redfish/v1/TaskService/Tasks/x/Actions/Oem/Taskfish.Kill"}, "Uri"),
        ({"Uri": f"{SYSTEM}/Oem/Taskfish/Tasks"}, "Uri"),
        ({"Uri": RUN_PLAN}, "Uri"),
        ({"Uri": BULK}, "Uri"),
        ({"Uri": OURS.replace("bmc1", "${look#/Body/Id}.")}, "Uri"),
        ({"Uri": OURS, "Method": "PATCH"}, "Method"),
        ({"Body": {"a": ["${nobody#/Body}"]}}, "Body"),
        ({"Body": "${"}, "Body"),
        ({"Body": [1]}, "Body"),
        ({"Body": "text"}, "Body"),
        ({"Body": {"Password": "x", "UserName": "${look#/Body/Id}"}}, "Body"),
        ({"Body": {"Password": "${look#/Body/Id}"}}, "Body"),
        ({"Uri": UPDATE, "Body": {"Targets": ["${look#/Body/Id}"]}}, "Body/Targets"),
        (
            {"Method": "GET", "Until": {"Pointer": "/a", "Value": "http://h/x?sig=1"}},
            "Until/Value",
        ),
        ({"Name": "look"}, "Name"),
        ({"Name": "undo-look"}, "Name"),
        ({"Until": {"Pointer": "/a", "Value": 1}}, "Until"),
        ({"Undo": {"Method": "POST", "Uri": "${later#/Location}"}}, "Undo/Uri"),
        ({"Undo": {"Method": "POST", "Uri": RUN_PLAN}}, "Undo/Uri"),
        ({"Undo": {"Method": "POST", "Uri": SYSTEM, "Body": "${"}}, "Undo/Body"),
        ({"Method": "GET", "Body": {}}, "Body"),
        ({"Method": "GET", "Undo": {"Method": "POST", "Uri": SYSTEM}}, "Undo"),
        (
            {"Method": "GET", "Until": {"Pointer": "/a", "Value": "${later#/Body}"}},
            "Until/Value",
        ),
    ],
)
def test_fault_is_told_with_its_place(change: dict[str, Any], place: str) -> None:
    """Alone behind a step, and beside another one."""
    later = {"Name": "later", "Method": "GET", "Uri": SYSTEM}
    changed = POST | change
    found = faults(LOOK, changed, later)
    assert f"Steps/1/{place}" in found
    assert {each for each in found if each.startswith("Steps/1")} == {
        f"Steps/1/{place}"
    }
    beside = {"Together": [later, changed]}
    assert f"Steps/1/Together/1/{place}" in faults(LOOK, beside)


def test_steps_that_run_together_know_nothing_of_each_other() -> None:
    user = POST | {"Name": "user", "Uri": "${look#/Body/Id}"}
    assert faults({"Together": [LOOK, user]}) == ["Steps/0/Together/1/Uri"]
    assert faults({"Together": [user, LOOK]}) == ["Steps/0/Together/0/Uri"]
    assert faults({"Together": [LOOK]}, user) == []


def test_number_of_steps_is_limited() -> None:
    many = [LOOK | {"Name": f"look{number}"} for number in range(201)]
    assert faults(*many[:200]) == []
    for steps in (many, [{"Together": many}], [*many[:100], {"Together": many[100:]}]):
        with pytest.raises(ValidationError, match="more steps than a plan has"):
            faults(*steps)
    assert faults() == ["Steps"]
    assert faults(LOOK, {"Together": []}) == ["Steps/1/Together"]


def test_all_faults_are_found() -> None:
    found = faults(
        LOOK | {"Uri": "/redfish/v1"},
        POST | {"Body": "${x#/Body}", "Undo": {"Method": "PUT", "Uri": "x"}},
        LOOK | {"Body": 1},
    )
    assert found == [
        "Steps/0/Name",
        "Steps/0/Uri",
        "Steps/1/Body",
        "Steps/1/Undo/Uri",
        "Steps/2/Name",
        "Steps/2/Body",
    ]


def test_every_step_has_a_place() -> None:
    steps = [LOOK, {"Together": [LOOK, POST]}, POST]
    plan = plan_of(WrittenPlan.model_validate({"Steps": steps}).steps)
    assert [place for place, _ in placed_steps(plan)] == [
        "Steps/0",
        "Steps/1/Together/0",
        "Steps/1/Together/1",
        "Steps/2",
    ]
    assert [step for _, step in placed_steps(plan)] == list(steps_of(plan))
