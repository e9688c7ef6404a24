"""How many tasks a list says there are: counted rarely, right for who changes it."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import (
    Client,
    CountWorkflowsInput,
    Interceptor,
    OutboundInterceptor,
    WorkflowExecutionCount,
)

from activities.retention import TASKS_QUERY
from api import task_counts
from api.task_counts import Count, TaskCounts
from tests.api.accounts import User, account
from tests.api.task_lists import gallery, until_visible
from tests.house import PASSWORD, TASKS, USER, House
from tests.workflows.houses import until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Counted(Interceptor):
    """Remembers what Temporal had to count."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Remember each query before it goes out."""
        return _RememberedCounts(next, self.queries)


class _RememberedCounts(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, queries: list[str]) -> None:
        super().__init__(next)
        self._queries = queries

    async def count_workflows(
        self, input: CountWorkflowsInput
    ) -> WorkflowExecutionCount:
        self._queries.append(input.query or "")
        return await super().count_workflows(input)


@pytest.fixture
def kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have counts kept for an hour, but for who has changed something within one."""
    for name in ("KEPT_A_TASK", "KEPT_AT_MOST", "LISTED_AFTER"):
        monkeypatch.setattr(task_counts, name, HOUR)


async def count_for(house: House, tag: str, user: User = (USER, PASSWORD)) -> int:
    """Return the count beside a page that is not the whole list."""
    params = {"tag": tag, "$top": "1"}
    answer = await house.client.get(TASKS, params=params, auth=user)
    assert answer.status_code == 200, answer.text
    found: int = answer.json()["Members@odata.count"]
    return found


@pytest.mark.parametrize(
    ("number", "age", "changed", "is_good"),
    [
        (0, 0, None, False),
        (20, 0.01, None, True),
        (20, 0.03, None, False),
        (5_000, 4, None, True),
        (5_000, 6, None, False),
        (20_000, 9, None, True),
        (20_000, 11, None, False),
        (20_000, 3, 60, True),
        (20_000, 3, 4, False),
        (20_000, 3, 1, False),
    ],
)
def test_count_is_kept_the_longer_the_larger_it_is(
    number: int, age: float, changed: float | None, is_good: bool
) -> None:
    count = Count(number, NOW - timedelta(seconds=age))
    changed_at = None if changed is None else NOW - timedelta(seconds=changed)
    assert count.is_good(NOW, changed_at) is is_good


@pytest.mark.usefixtures("kept_for_long")
async def test_who_starts_a_task_is_told_a_new_count(house: House) -> None:
    shown = await gallery(house)
    await until_visible(house, shown)
    before = len(shown.accepted)
    async with account(house, "Administrator") as other:
        assert await count_for(house, shown.tag, other) == before
        await house.change(
            "POST",
            "/redfish/v1/Systems/node2.1/Actions/ComputerSystem.Reset",
            {"ResetType": "ForceRestart"},
            **{"Task-Tags": shown.tag},
        )

        async def is_visible() -> bool:
            query = f"TaskTags = '{shown.tag}'"
            return (await house.temporal.count_workflows(query)).count > before

        await until(is_visible)
        assert await count_for(house, shown.tag, other) == before
        assert await count_for(house, shown.tag) == before + 1
        assert await count_for(house, shown.tag, other) == before + 1


@pytest.mark.usefixtures("kept_for_long")
async def test_who_removes_a_task_is_told_a_new_count(house: House) -> None:
    shown = await gallery(house)
    await until_visible(house, shown)
    before = len(shown.accepted)
    uri = shown.accepted["done"].json()["@odata.id"]
    async with account(house, "Administrator") as other:
        assert await count_for(house, shown.tag, other) == before
        removed = await house.client.delete(uri, auth=other)
        assert removed.is_success, removed.text

        async def is_gone() -> bool:
            return await count_for(house, shown.tag, other) == before - 1

        await until(is_gone)


@pytest.mark.usefixtures("kept_for_long")
async def test_only_the_last_counts_are_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_counts, "MOST", 2)
    await until_visible(house, await gallery(house))
    counted = Counted()
    config = house.temporal.config()
    config["interceptors"] = [counted]
    counts = TaskCounts(Client(**config))
    a, b, c = (f"{TASKS_QUERY} AND WorkflowId != '{name}'" for name in "abc")
    for query in (a, b, a, c, b, c, a):
        assert await counts.number(query, None) > 0
    assert counted.queries == [a, b, c, a]
