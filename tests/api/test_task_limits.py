"""How many tasks of a source and of an account may be open: no more start then."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.app import create_app
from api.task_limits import LISTED_AFTER
from tests.api.accounts import User, account
from tests.api.answers import message_keys
from tests.api.sessions import another_api
from tests.api.test_lost_starts import line_to
from tests.house import PASSWORD, SOURCES, USER, House, client_of, source_body
from tests.workflows.houses import until

ADMIN = (USER, PASSWORD)
BMC, NODE = "bmc1.1", "node1.1"


@pytest.fixture
async def hanging(house: House) -> House:
    """Give a house whose machines never end what they begin."""
    for machine in ("bmc1", "node1"):
        house.emulator.set_modes(machine, hang=True)
    return house


@pytest.fixture
async def two_a_source(hanging: House) -> AsyncIterator[httpx.AsyncClient]:
    """Give an API that lets a source have two open tasks."""
    async with another_api(hanging, max_tasks_per_source=2) as client:
        yield client


async def reset(
    client: httpx.AsyncClient,
    system: str = BMC,
    reset_type: str = "ForceRestart",
    user: User = ADMIN,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    uri = f"/redfish/v1/Systems/{system}/Actions/ComputerSystem.Reset"
    body = {"ResetType": reset_type}
    return await client.post(uri, json=body, headers=headers, auth=user)


async def test_source_has_no_more_open_tasks_than_it_may(
    two_a_source: httpx.AsyncClient,
) -> None:
    for _ in range(2):
        assert (await reset(two_a_source)).status_code == 202
    refused = await reset(two_a_source)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert message_keys(refused) == ["ServiceTemporarilyUnavailable"]
    for words in ("source bmc1", "2 tasks", "Wait until", "cancel"):
        assert words in refused.text
    assert (await reset(two_a_source, NODE)).status_code == 202


async def test_starts_at_once_do_not_pass_the_limit(
    two_a_source: httpx.AsyncClient,
) -> None:
    answers = await asyncio.gather(*(reset(two_a_source) for _ in range(6)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [202] * 2 + [503] * 4


async def test_forced_power_off_and_cancel_pass_a_full_source(
    two_a_source: httpx.AsyncClient,
) -> None:
    first, _ = [await reset(two_a_source) for _ in range(2)]
    assert (await reset(two_a_source, reset_type="ForceOff")).status_code == 202
    cancelled = await two_a_source.delete(first.json()["@odata.id"], auth=ADMIN)
    assert cancelled.status_code == 202


async def test_repeated_request_is_its_task_at_the_limit_too(
    two_a_source: httpx.AsyncClient,
) -> None:
    key = {"Idempotency-Key": f"limit-{time.monotonic_ns()}"}
    first = await reset(two_a_source, headers=key)
    assert (await reset(two_a_source)).status_code == 202
    again = await reset(two_a_source, headers=key)
    assert again.status_code == 202
    assert again.headers["Task-Id"] == first.headers["Task-Id"]


async def test_refused_start_takes_no_place(two_a_source: httpx.AsyncClient) -> None:
    chosen = {"Task-Id": f"limit-{time.monotonic_ns()}"}
    assert (await reset(two_a_source, headers=chosen)).status_code == 202
    for _ in range(3):
        assert (await reset(two_a_source, headers=chosen)).status_code == 409
    assert (await reset(two_a_source)).status_code == 202


async def test_end_of_a_task_makes_room(
    hanging: House, two_a_source: httpx.AsyncClient
) -> None:
    accepted = [await reset(two_a_source) for _ in range(2)]
    assert (await reset(two_a_source)).status_code == 503
    for each in accepted:
        await hanging.temporal.get_workflow_handle(each.json()["Id"]).terminate()

    async def has_room() -> bool:
        return (await reset(two_a_source)).status_code == 202

    await until(has_room)


async def test_tasks_of_another_process_count(hanging: House) -> None:
    for _ in range(2):
        assert (await reset(hanging.client)).status_code == 202
    await listed(hanging, 2)
    async with another_api(hanging, max_tasks_per_source=2) as client:
        assert (await reset(client)).status_code == 503
        assert (await reset(client, NODE)).status_code == 202


async def test_account_has_no_more_open_tasks_than_it_may(hanging: House) -> None:
    async with (
        account(hanging, "Operator") as eve,
        account(hanging, "Operator") as adam,
        another_api(hanging, max_tasks_per_account=1) as client,
    ):
        assert (await reset(client, user=eve)).status_code == 202
        refused = await reset(client, NODE, user=eve)
        assert refused.status_code == 503
        assert f"account {eve[0]}" in refused.text
        assert (await reset(client, user=adam)).status_code == 202


async def test_source_that_is_to_be_added_counts_for_its_account(
    hanging: House,
) -> None:
    body = source_body("more", "http://127.0.0.1:1", "Redfish", "password")
    async with another_api(hanging, max_tasks_per_account=1) as client:
        assert (await reset(client)).status_code == 202
        refused = await client.post(SOURCES, json=body, auth=ADMIN)
        assert refused.status_code == 503
        assert (await client.get(f"{SOURCES}/more", auth=ADMIN)).status_code == 404


async def test_name_with_quotes_is_counted(
    hanging: House, caplog: pytest.LogCaptureFixture
) -> None:
    user = ("o'neil \\'", PASSWORD)
    async with another_api(
        hanging, admin_username=user[0], max_tasks_per_account=1
    ) as client:
        assert (await reset(client, user=user)).status_code == 202
        assert (await reset(client, user=user)).status_code == 503
    assert "not counted" not in caplog.text


async def test_zero_is_no_limit(hanging: House) -> None:
    async with another_api(
        hanging, max_tasks_per_source=0, max_tasks_per_account=0
    ) as client:
        for _ in range(3):
            assert (await reset(client)).status_code == 202


async def test_silent_temporal_is_a_503_in_time(
    hanging: House, temporal_address: str
) -> None:
    async with (
        line_to(temporal_address) as line,
        client_of(create_app(hanging.settings, line.client)) as client,
    ):
        line.answers.clear()
        begun = time.monotonic()
        answer = await reset(client)
        assert time.monotonic() - begun < 3
    assert answer.status_code == 503
    assert "Temporal does not answer" in answer.text


async def listed(house: House, number: int) -> None:
    """Wait until Temporal lists so many tasks that every count is to find."""

    async def are_there() -> bool:
        before = datetime.now(UTC) - LISTED_AFTER - timedelta(seconds=0.1)
        found = await house.temporal.count_workflows(
            f"TaskQueue = '{house.settings.task_queue}' AND TaskSource = 'bmc1' "
            f"AND ExecutionStatus = 'Running' AND StartTime < '{before.isoformat()}'"
        )
        return found.count >= number

    await until(are_there)
