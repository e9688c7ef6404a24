"""A look takes no task of a source that may be another sending's."""

import dataclasses
from datetime import timedelta

from temporalio.testing import ActivityEnvironment

from activities.look import LookActivities, LookRequest
from taskfish.plugins.connections import Connections
from taskfish.plugins.protocol import Accepted, Change
from taskfish.plugins.redfish import client as redfish
from taskfish.redfish.sources import ConnectionMethod
from taskfish.store.journal import Journal, JournalKey
from taskfish.store.sources import Sources
from tests.house import House
from tests.workflows.houses import BMC, until, until_executed

RESET = f"{BMC}/Actions/ComputerSystem.Reset"
LOST = JournalKey(workflow_id="lost", run_id="r1", step="submit-1")


async def looked(house: House) -> object:
    """Look once for an Nmi that was lost before it reached its machine."""
    request = LookRequest(
        source="bmc1",
        change=Change(method="POST", uri=RESET, body={"ResetType": "Nmi"}),
        key=LOST,
        reason="the worker was lost",
        seconds=0,
    )
    connections = Connections(
        Sources(house.store),
        {ConnectionMethod.REDFISH: redfish.connect},
        house.settings,
        share=0.5,
    )
    try:
        looking = LookActivities(connections, Journal(house.store)).look
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            environment.info, heartbeat_timeout=timedelta(seconds=10)
        )
        return await environment.run(looking, request)
    finally:
        await connections.aclose()


async def test_task_whose_own_answer_is_still_to_come_is_not_taken(
    house: House,
) -> None:
    house.emulator.set_modes("bmc1", answer_delay=2, seconds=20)
    other = await house.reset("bmc1.1", "GracefulRestart")
    await until_executed(house)
    assert await Journal(house.store).begin(LOST, "bmc1", None)
    found = await looked(house)
    assert not isinstance(found, Accepted), found

    async def is_followed() -> bool:
        return "PluginTaskUri" in (await house.task(other))["Oem"]["Taskfish"]

    await until(is_followed)
    assert not isinstance(await looked(house), Accepted)
