"""What the steps of bulk operations are called."""

from taskfish.redfish.bulk import step_names
from taskfish.redfish.steps import Step, get


def test_step_on_any_member_has_a_name_of_its_own() -> None:
    members = ["undo-lab.1", "rack.1", "rack.1", "a:b", "x" * 200]
    names = step_names(members)
    assert names == ("1", "rack.1", "3", "4", "5")
    for name in names:
        Step(name=name, request=get("/redfish/v1/Systems/rack.1"))


def test_number_that_stands_for_a_member_is_no_other_members_name() -> None:
    assert step_names(["undo-a", "1", "b c", "6"]) == ("5", "1", "3", "6")
