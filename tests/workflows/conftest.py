"""The shared gateway, over real sockets and the session's Temporal server."""

import pytest

from tests.house import House


@pytest.fixture
async def bmc(house: House) -> House:
    """Give the gateway for a test of its source bmc1, which speaks Redfish."""
    return house


@pytest.fixture
async def node(house: House) -> House:
    """Give the gateway for a test of its sources behind an ODIM plugin."""
    return house
