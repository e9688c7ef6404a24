"""A store with an empty database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taskfish.store.database import Store
from tests.store.stores import opened


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Give a store over a new SQLite file."""
    async with opened(tmp_path) as found:
        yield found
