"""A gateway for each test, over real sockets and the session's Temporal server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.conftest import KEY
from tests.house import House
from tests.workflows.houses import bmc_house, node_house


@pytest.fixture
async def bmc(temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """Give a gateway with a worker and one source: bmc1, which speaks Redfish."""
    async with bmc_house(temporal, tmp_path, KEY) as house:
        yield house


@pytest.fixture
async def node(temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """Give a gateway with a worker, an ODIM plugin and node1, node2 behind it."""
    async with node_house(temporal, tmp_path, KEY) as house:
        yield house
