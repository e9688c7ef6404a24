"""PUT …/states/power: each target is a reset, and each reset a task."""

from typing import Any

import pytest

from tests.api.baremetal.ironic import (
    NEWEST,
    NODES,
    changed,
    fault,
    get,
    new_node,
    put_power,
    states,
    until_states,
)
from tests.house import TASKS, House
from tests.workflows.houses import until, until_executed


async def ended(house: House, task_id: str) -> dict[str, Any]:
    """Wait for the end of a task and return it."""
    task: dict[str, Any] = {}

    async def has_ended() -> bool:
        task.update((await house.client.get(f"{TASKS}/{task_id}")).json())
        return "EndTime" in task

    await until(has_ended)
    return task


@pytest.mark.parametrize("node", ["bmc1.1", "node1.1"])
@pytest.mark.parametrize(
    ("target", "reset_type"),
    [
        ("power off", "ForceOff"),
        ("rebooting", "ForceRestart"),
        ("soft power off", "GracefulShutdown"),
        ("soft rebooting", "GracefulRestart"),
        ("inject nmi", "Nmi"),
    ],
)
async def test_target_is_a_reset_and_a_task(
    house: House, node: str, target: str, reset_type: str
) -> None:
    answer = await put_power(house, node, target)
    assert (answer.status_code, answer.content) == (202, b"")
    uuid = (await get(house, f"nodes/{node}")).json()["uuid"]
    assert answer.headers["Location"] == f"http://gateway{NODES}/{uuid}/states"
    task_id = answer.headers["Task-Id"]
    assert answer.headers["Link"] == f'<{TASKS}/{task_id}>; rel="task"'
    task = await ended(house, task_id)
    assert task["TaskState"] == "Completed"
    machine = node.partition(".")[0]
    (execution,) = house.emulator.executions(machine)
    assert execution.body == {"ResetType": reset_type}


async def test_states_follow_the_task(house: House) -> None:
    node = await new_node(house)
    assert (await states(house, node))["power_state"] == "power on"
    house.emulator.set_modes("bmc1", hang=True)
    task_id = await changed(house, node, "power off")
    found = await states(house, node)
    assert (found["target_power_state"], found["last_error"]) == ("power off", None)
    assert (await get(house, f"nodes/{node}")).json()["reservation"] == "taskfish"
    house.emulator.set_modes("bmc1", hang=False)
    await ended(house, task_id)
    found = await states(house, node)
    assert (found["power_state"], found["target_power_state"]) == ("power off", None)
    assert found["last_error"] is None
    await ended(house, await changed(house, node, "power on"))
    assert (await states(house, node))["power_state"] == "power on"


async def test_states_are_whole(house: House) -> None:
    node = await new_node(house)
    assert set(await states(house, node)) == {
        *("power_state", "target_power_state", "last_error", "supported_power_states"),
        *("provision_state", "target_provision_state", "provision_updated_at"),
        *("console_enabled", "raid_config", "target_raid_config"),
        *("boot_mode", "secure_boot"),
    }


async def test_failure_is_the_last_error_and_in_the_history(house: House) -> None:
    node = await new_node(house)
    house.emulator.set_modes("bmc1", fail=True)
    task_id = await changed(house, node, "rebooting")
    assert (await ended(house, task_id))["TaskState"] == "Exception"
    found = await states(house, node)
    assert found["power_state"] == "power on"
    assert found["last_error"].startswith("Failed to change power state to 'power on'")
    (event,) = (await get(house, f"nodes/{node}/history")).json()["history"]
    assert (event["severity"], event["user"]) == ("ERROR", "admin")
    assert event["event"] == found["last_error"]
    path = f"nodes/{node}/history"
    assert (await get(house, f"{path}/{event['uuid']}")).json() == event
    assert (await get(house, f"{path}/other")).status_code == 404


async def test_timeout_is_the_tasks(house: House) -> None:
    node = await new_node(house)
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0.1)
    answer = await put_power(house, node, "soft power off", 1)
    task = await ended(house, answer.headers["Task-Id"])
    assert task["TaskState"] == "Exception"
    found = await states(house, node)
    assert found["power_state"] == "power on"
    assert "'soft power off'" in found["last_error"]


async def test_node_is_locked_while_a_change_runs(house: House) -> None:
    node = await new_node(house)
    house.emulator.set_modes("bmc1", hang=True)
    running = await changed(house, node, "rebooting")
    for target in ("soft power off", "power on", "rebooting", "inject nmi"):
        refused = await put_power(house, node, target)
        assert refused.status_code == 409
        uuid = (await get(house, f"nodes/{node}")).json()["uuid"]
        assert fault(refused) == (
            f"Node {uuid} is locked by host taskfish, please retry after the current "
            "operation is completed."
        )
        assert f"{TASKS}/{running}" in refused.headers["Link"]
        assert f"{TASKS}/{running}" in refused.text
    assert house.executions("bmc1") == 1


async def test_power_off_passes_a_soft_one(house: House) -> None:
    node = await new_node(house)
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0.1)
    soft = await changed(house, node, "soft power off")
    await until_executed(house)
    forced = await changed(house, node, "power off")
    assert (await ended(house, forced))["TaskState"] == "Completed"
    assert (await ended(house, soft))["TaskState"] == "Cancelled"
    await until_states(house, node, power_state="power off", last_error=None)


async def test_wishes_of_other_doors_hold_here_too(house: House) -> None:
    wishes = {"Task-Id": "by-ironic-1", "Task-Tags": "night", "Task-Conflict": "allow"}
    answer = await put_power(house, "bmc1.1", "rebooting", headers=wishes)
    assert answer.headers["Task-Id"] == "by-ironic-1"
    task = await ended(house, "by-ironic-1")
    facts = task["Oem"]["Taskfish"]
    assert (facts["Tags"], facts["Owner"]) == (["night"], "admin")
    assert facts["RequestId"] == answer.headers["X-Request-Id"]
    used = await put_power(house, "bmc1.1", "rebooting", headers={"Task-Id": "not!"})
    assert used.status_code == 400
    assert "Task-Id" in fault(used)


async def test_task_id_that_is_used_again_elsewhere_tells_nothing_here(
    house: House,
) -> None:
    node, chosen = await new_node(house), {"Task-Id": "one-after-the-other"}
    await put_power(house, node, "rebooting", headers=chosen)
    await ended(house, chosen["Task-Id"])
    house.emulator.set_modes("node1", hang=True)
    await put_power(house, "node1.1", "rebooting", headers=chosen)
    assert (await states(house, node))["target_power_state"] is None
    assert (await states(house, "node1.1"))["target_power_state"] == "power on"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "Missing mandatory parameter: target"),
        ({"target": "power on", "when": "now"}, "Unexpected arguments: when"),
        ({"target": 1}, "Invalid input for argument target"),
        ({"target": "power on", "timeout": 0}, "timeout has to be positive integer"),
        ({"target": "power on", "timeout": "5"}, "timeout has to be positive integer"),
        ({"target": "power on", "timeout": True}, "timeout has to be positive integer"),
        ({"target": "power on", "timeout": 2**31}, "timeout has to be 31536000 at"),
        (
            {"target": "bogus"},
            'The requested action "bogus" can not be performed on node "node2.1" '
            'while it is in state "power on".',
        ),
        ([], "The body is not of a form"),
    ],
)
async def test_bad_body_is_refused(house: House, body: object, text: str) -> None:
    uri = f"{NODES}/node2.1/states/power"
    answer = await house.client.put(uri, json=body, headers=NEWEST)
    assert answer.status_code == 400
    assert text in fault(answer)
    assert house.executions("node2") == 0


async def test_body_that_is_no_json_is_refused(house: House) -> None:
    uri = f"{NODES}/node2.1/states/power"
    for media_type, status in (("application/json", 400), ("text/plain", 415)):
        headers = {"Content-Type": media_type, **NEWEST}
        answer = await house.client.put(uri, content=b"{", headers=headers)
        assert answer.status_code == status
        assert fault(answer)


async def test_nmi_takes_no_arguments(house: House) -> None:
    uri = f"{NODES}/bmc1.1/management/inject_nmi"
    refused = await house.client.put(uri, json={"now": True}, headers=NEWEST)
    assert (refused.status_code, fault(refused)) == (400, "Unexpected arguments: now")
    taken = await house.client.put(uri, json={}, headers=NEWEST)
    assert taken.status_code == 204
    task = await ended(house, taken.headers["Task-Id"])
    assert task["TaskState"] == "Completed"
