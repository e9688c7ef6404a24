"""A place that delivers events, and one who gets them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.activities.deliveries import Office, open_office
from tests.store.stores import opened
from tests.subscriber import Listener, listening


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Give a log, subscriptions and their deliveries over a new SQLite file."""
    async with opened(tmp_path) as store, open_office(store, tmp_path) as found:
        yield found


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    """Give a subscriber that accepts everything."""
    async with listening() as found:
        yield found
