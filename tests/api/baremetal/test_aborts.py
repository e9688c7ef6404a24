"""The aborts: what the users of Ironic's soft power off asked for and never got."""

from typing import Any

import httpx
import pytest
from sqlalchemy import update

from api.authentication import User
from api.baremetal.power_tasks import power_tasks
from taskfish.store.tables import sources
from tests.api.accounts import account
from tests.api.baremetal.ironic import (
    NODES,
    changed,
    fault,
    get,
    new_node,
    open_door,
    put_power,
    states,
    until_states,
)
from tests.api.governing import task_uri
from tests.house import TASKS, House
from tests.workflows.houses import until, until_executed

AUDIT = "/redfish/v1/Managers/taskfish/LogServices/Audit/Entries"
SOFT = ("abort soft power off", "abort soft rebooting")


async def hanging(house: House, target: str, **modes: Any) -> tuple[str, str]:
    """Start a change that hangs; return its node and the Id of its task."""
    node = await new_node(house)
    modes = {"hang_graceful": True, "abort_seconds": 0.1, **modes}
    house.emulator.set_modes("bmc1", **modes)
    task_id = await changed(house, node, target)
    await until_executed(house)
    return node, task_id


async def all_tasks(house: House) -> list[str]:
    """Return the URIs of all tasks."""
    listed = (await house.client.get(TASKS)).json()["Members"]
    return [each["@odata.id"] for each in listed]


@pytest.mark.parametrize(
    ("target", "abort"),
    [
        ("soft power off", "abort soft power off"),
        ("soft power off", "abort soft rebooting"),
        ("soft rebooting", "abort soft power off"),
        ("inject nmi", "abort inject nmi"),
    ],
)
async def test_abort_ends_the_change_in_error(
    house: House, target: str, abort: str
) -> None:
    node, task_id = await hanging(house, target)
    before = await states(house, node)
    assert (before["power_state"], before["target_power_state"]) == ("power on", target)
    answer = await put_power(house, node, abort)
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["Location"].endswith("/states")
    assert answer.headers["Task-Id"] == task_id
    found = await until_states(house, node, target_power_state=None)
    assert found["power_state"] == "error"
    assert found["last_error"].startswith(f"The change to '{target}' was aborted:")
    task = (await house.client.get(f"{TASKS}/{task_id}")).json()
    assert task["TaskState"] == "Cancelled"
    assert [each.outcome for each in house.emulator.executions("bmc1")] == ["cancelled"]


async def test_error_ends_with_the_next_change_that_is_done(house: House) -> None:
    node, _ = await hanging(house, "soft power off")
    await put_power(house, node, "abort soft power off")
    await until_states(house, node, power_state="error", target_power_state=None)

    async def is_listed() -> bool:
        nodes = (await get(house, "nodes/detail")).json()["nodes"]
        (found,) = (each for each in nodes if each["name"] == node)
        return bool(found["power_state"] == "error" and found["last_error"])

    await until(is_listed)
    await changed(house, node, "power off")
    await until_states(house, node, power_state="power off", last_error=None)


async def test_error_ends_by_itself(house: House) -> None:
    node, _ = await hanging(house, "soft power off")
    await put_power(house, node, "abort soft power off")
    await until_states(house, node, power_state="error", target_power_state=None)
    path = f"{NODES}/{node}/states"
    settings: dict[str, Any]
    settings = {"baremetal_auth": "none", "baremetal_error_seconds": 0.001}
    async with open_door(house, **settings) as asking:
        later = (await asking.get(path)).json()
    assert later["power_state"] == "power on"
    assert "was aborted" in later["last_error"]


@pytest.mark.parametrize("abort", [*SOFT, "abort inject nmi"])
async def test_abort_without_a_change_changes_nothing(house: House, abort: str) -> None:
    node = await new_node(house)
    before = await states(house, node), await all_tasks(house)
    answer = await put_power(house, node, abort)
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["Location"].endswith("/states")
    assert "Task-Id" not in answer.headers
    assert (await states(house, node), await all_tasks(house)) == before
    assert house.executions("bmc1") == 0


async def test_abort_of_another_kind_changes_nothing(house: House) -> None:
    node, _ = await hanging(house, "inject nmi")
    for abort in SOFT:
        assert (await put_power(house, node, abort)).status_code == 202
    assert (await states(house, node))["target_power_state"] == "inject nmi"
    house.emulator.set_modes("bmc1", hang_graceful=False)
    await until_states(house, node, target_power_state=None, power_state="power on")


async def test_abort_of_a_hard_change_changes_nothing(house: House) -> None:
    node, task_id = await hanging(house, "rebooting", hang=True)
    for abort in (*SOFT, "abort inject nmi"):
        assert (await put_power(house, node, abort)).status_code == 202
    assert (await states(house, node))["target_power_state"] == "power on"
    task = (await house.client.get(f"{TASKS}/{task_id}")).json()
    assert task["TaskState"] not in ("Cancelling", "Cancelled")


async def test_abort_reaches_what_came_through_redfish(house: House) -> None:
    node = await new_node(house)
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0.1)
    accepted = await house.reset(node, "GracefulRestart")
    assert (await states(house, node))["target_power_state"] == "soft rebooting"
    answer = await put_power(house, node, "abort soft rebooting")
    assert task_uri(accepted).endswith(answer.headers["Task-Id"])
    assert (await house.ended(accepted))["TaskState"] == "Cancelled"


async def test_source_that_has_no_tasks_refuses_an_abort(house: House) -> None:
    node = await new_node(house)
    its = sources.c.id == node.partition(".")[0]
    async with house.store.write() as connection:
        await connection.execute(update(sources).where(its).values(has_tasks=False))
    refused = await put_power(house, node, "abort soft power off")
    assert refused.status_code == 400
    assert "does not support abort soft power off" in fault(refused)


async def test_task_that_cannot_be_aborted_goes_on(house: House) -> None:
    node, task_id = await hanging(house, "soft power off", abort="unsupported")
    refused: httpx.Response | None = None

    async def is_refused() -> bool:
        nonlocal refused
        allowed = (await house.client.get(f"{TASKS}/{task_id}")).headers["Allow"]
        if "DELETE" in allowed:
            return False
        refused = await put_power(house, node, "abort soft power off")
        return True

    await until(is_refused)
    assert refused is not None
    assert refused.status_code == 400
    assert "does not support abort" in fault(refused)
    assert (await states(house, node))["target_power_state"] == "soft power off"


async def test_only_its_owner_and_managers_abort_a_change(house: House) -> None:
    node, task_id = await hanging(house, "soft power off")
    async with account(house, "Operator") as other:
        refused = await put_power(house, node, "abort soft power off", auth=other)
        assert refused.status_code == 403
        assert "ConfigureManager" in fault(refused)
    task = (await house.client.get(f"{TASKS}/{task_id}")).json()
    assert task["TaskState"] not in ("Cancelling", "Cancelled")


async def test_in_owner_only_mode_nothing_is_told_of_others(house: House) -> None:
    node, task_id = await hanging(house, "soft power off")
    path = f"{NODES}/{node}/states"
    async with (
        account(house, "Operator") as other,
        open_door(house, owner_only=True) as asking,
    ):
        seen = (await asking.get(path, auth=other)).json()
        assert (seen["target_power_state"], seen["last_error"]) == (None, None)
        abort = {"target": "abort soft power off"}
        answer = await asking.put(f"{path}/power", json=abort, auth=other)
        assert answer.status_code == 202
        assert "Task-Id" not in answer.headers
        change = {"target": "rebooting"}
        locked = await asking.put(f"{path}/power", json=change, auth=other)
        assert locked.status_code == 409
        assert task_id not in locked.text + str(locked.headers)
    task = (await house.client.get(f"{TASKS}/{task_id}")).json()
    assert task["TaskState"] not in ("Cancelling", "Cancelled")


async def test_each_change_that_an_abort_ends_is_audited(house: House) -> None:
    node, first = await hanging(house, "soft power off")
    uri = f"/redfish/v1/Systems/{node}/Actions/ComputerSystem.Reset"
    accepted = await house.client.post(uri, json={"ResetType": "GracefulRestart"})
    answer = await put_power(house, node, "abort soft power off")
    assert answer.status_code == 202
    entries = (await house.client.get(AUDIT)).json()["Members"]
    facts = [each["Oem"]["Taskfish"] for each in entries]
    named = [each.get("Task", "").rpartition("/")[2] for each in facts]
    for task_id in (first, accepted.json()["Id"]):
        assert named.count(task_id) == 2


@pytest.mark.parametrize("name", ["a'b", "a\\b", "a\\'b"])
async def test_node_of_any_name_can_be_asked_for(house: House, name: str) -> None:
    transport: Any = house.client._transport
    user = User("eve", "Operator", frozenset(), accepted=None)
    system = f"/redfish/v1/Systems/bmc1.{name}"
    assert await power_tasks(transport.app.state.gateway, user, system) == []
