"""The gateway that the tests of the worker's process need."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.conftest import KEY
from tests.house import House
from tests.workflows.houses import bmc_house


@pytest.fixture
async def bmc(temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """Give a gateway with a worker and one source: bmc1, which speaks Redfish."""
    async with bmc_house(temporal, tmp_path, KEY) as house:
        yield house
