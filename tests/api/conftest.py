"""What several files of tests of the API begin with."""

import pytest
from sqlalchemy import delete

from taskfish.store.tables import turns as table
from tests.house import House


@pytest.fixture
async def quiet(house: House) -> House:
    """Give a gateway on whose machines nobody has a place."""
    async with house.store.write() as connection:
        await connection.execute(delete(table))
    return house
