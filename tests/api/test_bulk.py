"""AggregationService.Reset and its like: one task for many machines, over HTTP."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.api.bulk import FleetHouse, fleet_house
from tests.conftest import KEY
from tests.fleet import Fleet
from tests.workflows.houses import words_of


@pytest.fixture(scope="module")
async def opened(
    temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FleetHouse]:
    """Open the gateway of this file."""
    folder = tmp_path_factory.mktemp("fleet")
    async with fleet_house(temporal, folder, KEY) as found:
        yield found


@pytest.fixture
def fleet(opened: FleetHouse) -> FleetHouse:
    """Give it with machines that have done nothing yet."""
    fresh = Fleet(opened.fleet.size)
    vars(opened.fleet).update(
        {name: value for name, value in vars(fresh).items() if name != "_numbers"}
    )
    return opened


async def test_all_machines_are_reset_once(fleet: FleetHouse) -> None:
    accepted = await fleet.reset()
    task = await fleet.house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), words_of(task)
    assert task["PercentComplete"] == 100
    assert fleet.fleet.counts == dict.fromkeys(fleet.fleet.names, 1)
    assert (await fleet.house.final(accepted)).status_code == 204
