"""Much, taken in batches."""

from collections.abc import AsyncIterator
from typing import TypeVar

Item = TypeVar("Item")


async def in_batches(
    items: AsyncIterator[Item], size: int
) -> AsyncIterator[list[Item]]:
    """Yield the items so many at a time, the last ones as they are."""
    batch: list[Item] = []
    async for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
