"""What a start leaves in the store."""

from sqlalchemy import func, select

from taskfish.store.tables import requests, secret_bodies, turns
from tests.house import House


async def rows(house: House) -> list[int]:
    """Return how many starts, kept secrets and turns the store has."""
    async with house.store.read() as connection:
        return [
            await connection.scalar(select(func.count()).select_from(table)) or 0
            for table in (requests, secret_bodies, turns)
        ]
