"""A gateway whose API is a process of its own and may be killed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.chaos.front import Front, open_front
from tests.conftest import KEY
from tests.workflows.houses import bmc_house


@pytest.fixture
async def front(
    temporal: Client, temporal_address: str, tmp_path: Path
) -> AsyncIterator[Front]:
    """Give a gateway with bmc1, a worker in this process and an API in another."""
    async with (
        bmc_house(temporal, tmp_path, KEY) as house,
        open_front(house, temporal_address, tmp_path) as opened,
    ):
        yield opened
