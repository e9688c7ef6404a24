"""What starts leave in the store."""

from sqlalchemy import select

from taskfish.store.tables import requests, secret_bodies, turns
from tests.house import House

Row = tuple[object, ...]


async def rows(house: House, *, of_secrets: bool = False) -> set[Row]:
    """Return what tells the rows of starts, kept secrets and turns from each other.

    Those of earlier tests may go at any time: look only for what has come.
    """
    tables = (secret_bodies,) if of_secrets else (requests, secret_bodies, turns)
    async with house.store.read() as connection:
        return {
            (table.name, *row)
            for table in tables
            for row in await connection.execute(select(*table.primary_key.columns))
        }
