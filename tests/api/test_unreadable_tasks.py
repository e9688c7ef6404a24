"""A run that looks like a task and cannot be read as one breaks nothing."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from taskfish.encryption import Keyring, generate_key
from taskfish.temporal import (
    TASK_OPERATION,
    TASK_STATE,
    TASK_TARGET,
    data_converter,
)
from tests.api.answers import members, message_keys
from tests.house import TASKS, House
from tests.workflows.houses import until, words_of

MONITORS = "/redfish/v1/TaskService/TaskMonitors"
BMC = "/redfish/v1/Systems/bmc1.1"
REQUEST = {"name": "Reset", "method": "POST", "uri": BMC}
MEMOS: dict[str, dict[str, Any]] = {
    "none": {},
    "another form": {"task": {"what": 7}},
    "another outcome": {"task": REQUEST, "outcome": {"state": "Dreaming"}},
    "another key": {"task": REQUEST},
}


@asynccontextmanager
async def strange_task(
    house: House, memo: str, state: str = "Running", task_queue: str | None = None
) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    """Give a run with the labels of a task; without a queue no worker takes it up."""
    client, config = house.temporal, house.temporal.config()
    if memo == "another key":
        config["data_converter"] = data_converter(Keyring([_another_key()]))
        client = Client(**config)
    labels = {TASK_OPERATION: "ComputerSystem.Reset", TASK_TARGET: BMC}
    labels[TASK_STATE] = state
    handle = await client.start_workflow(
        "ComputerSystem.Reset",
        id=f"Strange-{uuid.uuid4()}",
        task_queue=task_queue or f"nobody-{uuid.uuid4()}",
        memo=MEMOS[memo],
        search_attributes=TypedSearchAttributes(
            [SearchAttributePair(key, value) for key, value in labels.items()]
        ),
    )
    try:
        yield handle
    finally:
        answer = await house.client.delete(f"{TASKS}/{handle.id}")
        assert answer.status_code in (202, 204, 404), answer.text


async def until_listed(house: House, *task_ids: str) -> None:
    async def are_listed() -> bool:
        found = members(await house.client.get(TASKS))
        return {f"{TASKS}/{each}" for each in task_ids} <= set(found)

    await until(are_listed)


@pytest.mark.parametrize("memo", MEMOS)
async def test_unreadable_task_is_shown_by_its_status(house: House, memo: str) -> None:
    async with strange_task(house, memo) as strange:
        uri = f"{TASKS}/{strange.id}"
        accepted = await house.reset("bmc1.1")
        await until_listed(house, strange.id, accepted.json()["Id"])
        task = (await house.client.get(uri)).json()
        assert task["TaskState"] == "Running"
        assert "TaskStatus" not in task
        assert (await house.client.get(f"{MONITORS}/{strange.id}")).status_code == 202
        await strange.terminate()
        await until_listed(house, strange.id)
        answer = await house.client.get(uri)
        assert answer.status_code == 200
        task = answer.json()
        assert (task["TaskState"], task["TaskStatus"]) == ("Killed", "Critical")
        assert "EndTime" in task
        final = await house.client.get(f"{MONITORS}/{strange.id}")
        assert len(message_keys(final)) == 1
        assert "cannot be read" in words_of(task)
        assert "Payload" not in task
        assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_state_of_a_newer_version_breaks_nothing(house: House) -> None:
    async with strange_task(house, "another key", "Dreaming") as strange:
        await until_listed(house, strange.id)
        task = (await house.client.get(f"{TASKS}/{strange.id}")).json()
        assert task["TaskState"] == "Running"
        await strange.terminate()


def _another_key() -> SecretStr:
    return SecretStr(generate_key())
