"""The answer to a change is lost: what became of it is looked for, never sent again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.conftest import KEY
from tests.house import House
from tests.workflows.houses import (
    BMC,
    NODE,
    VOLUMES,
    node_house,
    until_begun,
    until_executed,
    words_of,
)


@pytest.fixture
async def patient_node(temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """Give a gateway over a plugin that looks for longer than a change takes."""
    async with node_house(temporal, tmp_path, KEY, submit_deadline=10) as house:
        yield house


async def test_look_finds_the_task_of_the_bmc(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", lose_answer=1)
    accepted = await bmc.create_volume("bmc1.1")
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Completed"
    assert task["Links"]["CreatedResources"] == [{"@odata.id": f"{BMC}/{VOLUMES}/1"}]
    assert (await bmc.final(accepted)).headers["Location"] == f"{BMC}/{VOLUMES}/1"
    assert bmc.executions("bmc1") == 1
    attributes = (await bmc.workflow(accepted).describe()).typed_search_attributes
    assert "PluginTask" in [pair.key.name for pair in attributes]


async def test_look_takes_no_task_of_another_change(bmc: House) -> None:
    """Two equal changes at once: each task of the BMC belongs to one of ours."""
    bmc.emulator.set_modes("bmc1", seconds=1.5)
    first = await bmc.create_volume("bmc1.1", name="first")
    await bmc.until(first, "Running")
    bmc.emulator.set_modes("bmc1", lose_answer=1)
    second = await bmc.create_volume("bmc1.1", name="second")
    for accepted, name in ((first, "first"), (second, "second")):
        assert (await bmc.ended(accepted))["TaskState"] == "Completed"
        volume = await bmc.client.get((await bmc.final(accepted)).headers["Location"])
        assert volume.json()["Name"] == name
    assert bmc.executions("bmc1") == 2


async def test_look_finds_the_created_volume(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", lose_answer=1, task_list=False)
    accepted = await bmc.create_volume("bmc1.1", name="found")
    final = await bmc.final(accepted)
    task = await bmc.task(accepted)
    assert (final.status_code, final.json()["Name"]) == (201, "found")
    assert final.headers["Location"] == f"{BMC}/{VOLUMES}/1"
    assert task["TaskState"] == "Completed"
    assert task["Links"]["CreatedResources"] == [{"@odata.id": f"{BMC}/{VOLUMES}/1"}]
    assert bmc.executions("bmc1") == 1


async def test_look_takes_no_volume_of_another_name(bmc: House) -> None:
    """The creation is lost and fails; a volume that another one makes is not its."""
    bmc.emulator.set_modes("bmc1", lose_answer=1, task_list=False, fail=True)
    lost = await bmc.create_volume("bmc1.1", name="lost")
    await until_executed(bmc)
    bmc.emulator.set_modes("bmc1", fail=False)
    other = await bmc.create_volume("bmc1.1", name="other")
    assert (await bmc.ended(other))["TaskState"] == "Completed"
    task = await bmc.ended(lost)
    assert task["TaskState"] == "Exception"
    assert f"The outcome of POST {BMC}/{VOLUMES} is unknown" in words_of(task)
    assert bmc.executions("bmc1") == 2


async def test_look_finds_the_changed_setting(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", lose_answer=1)
    settings = await bmc.client.get(f"{BMC}/Bios/Settings")
    name = next(iter(settings.json()["Attributes"]))
    body = {"Attributes": {name: "Changed"}}
    accepted = await bmc.change("PATCH", f"{BMC}/Bios/Settings", body)
    final = await bmc.final(accepted)
    assert final.status_code == 200
    assert final.json()["Attributes"][name] == "Changed"
    assert (await bmc.task(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1


@pytest.mark.parametrize("reset_type", ["ForceRestart", "ForceOff"])
async def test_look_finds_the_reset(node: House, reset_type: str) -> None:
    """ODIM lists no tasks: LastResetTime or PowerState tells."""
    node.emulator.set_modes("node1", lose_answer=1)
    accepted = await node.reset("node1.1", reset_type)
    task = await node.ended(accepted)
    assert task["TaskState"] == "Completed", words_of(task)
    assert node.executions("node1") == 1


async def test_look_finds_the_volume_deleted(patient_node: House) -> None:
    """One that goes on for a while is not deleted again meanwhile."""
    node = patient_node
    await node.ended(await node.create_volume("node1.1"))
    node.emulator.set_modes("node1", lose_answer=1, seconds=2)
    accepted = await node.change("DELETE", f"{NODE}/{VOLUMES}/1")
    assert (await node.final(accepted)).status_code == 204
    assert (await node.task(accepted))["TaskState"] == "Completed"
    assert node.executions("node1", "DELETE") == 1


async def test_deletion_without_effect_is_repeated(
    temporal: Client, tmp_path: Path
) -> None:
    """The same volume is still there when the time to look has passed."""
    limits = {"submit_deadline": 1, "submit_answer_timeout": 1}
    async with node_house(temporal, tmp_path, KEY, **limits) as node:
        await node.ended(await node.create_volume("node1.1"))
        node.emulator.set_modes("plugin", lose_answer=1)
        node.emulator.set_modes("node1", fail=True)
        accepted = await node.change("DELETE", f"{NODE}/{VOLUMES}/1")
        await until_executed(node, times=2, machine="node1")
        node.emulator.set_modes("node1", fail=False)
        task = await node.ended(accepted)
        assert task["TaskState"] == "Completed", words_of(task)
        assert node.executions("node1", "DELETE") == 2


async def test_unknown_outcome_says_how_to_check(node: House) -> None:
    node.emulator.set_modes("node1", lose_answer=1, hang=True)
    accepted = await node.create_volume("node1.1")
    final = await node.final(accepted)
    task = await node.task(accepted)
    uri = f"{NODE}/{VOLUMES}"
    assert task["TaskState"] == "Exception"
    assert f"The outcome of POST {uri} is unknown" in words_of(task)
    assert f"Read {uri} to see whether the change was made" in words_of(task)
    assert final.status_code == 500
    assert f"Read {uri}" in final.text
    assert node.executions("node1") == 1


async def test_what_no_resource_shows_is_unknown_at_once(node: House) -> None:
    """An action that leaves no trace is not looked for until the deadline."""
    node.emulator.set_modes("node1", lose_answer=1)
    uri = f"{NODE}/Actions/ComputerSystem.SetDefaultBootOrder"
    accepted = await node.change("POST", uri, {})
    task = await node.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert f"Read {NODE} to see" in words_of(task)
    assert node.executions("node1") == 1


async def test_source_that_vanishes_with_the_answer(bmc: House) -> None:
    """The look waits for a source that is out of reach, and then finds its task."""
    bmc.emulator.set_modes("bmc1", lose_answer=1, answer_delay=0.2, seconds=1)
    accepted = await bmc.create_volume("bmc1.1")
    await until_executed(bmc)
    bmc.emulator.set_modes("bmc1", vanish=True)
    await until_begun(bmc, accepted, "look")
    bmc.emulator.set_modes("bmc1", vanish=False)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1
