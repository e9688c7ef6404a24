"""What tests of adopted tasks share: what others do at a BMC, and what became of it."""

from typing import Any

import httpx

from taskfish.plugins.machine.jobs import Job
from tests.house import TASKS, House
from tests.workflows.houses import until

SOON = 0.2
"""Seconds between two looks at a source."""
BMC_TASKS = "/redfish/v1/TaskService/Tasks"
RESET_AT_BMC = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
VOLUMES_AT_BMC = "/redfish/v1/Systems/1/Storage/1/Volumes"


def others_task(house: House, **options: Any) -> Job:
    """Have bmc1 begin a task by itself."""
    return house.emulator.machines["bmc1"].start_own_task(**options)


async def others_change(
    house: House, uri: str = RESET_AT_BMC, body: object = None
) -> str:
    """Have another client send a change to bmc1 itself; return the Task's URI there."""
    sent = {"ResetType": "ForceRestart"} if body is None else body
    login = ("admin", "password")
    async with httpx.AsyncClient(
        base_url=house.addresses.bmcs[0], auth=login, verify=False, trust_env=False
    ) as other:
        accepted = await other.post(uri, json=sent)
    assert accepted.status_code == 202, accepted.text
    task: str = accepted.json()["@odata.id"]
    return task


async def adopted(house: House) -> list[dict[str, Any]]:
    """Return the adopted Tasks of bmc1, as one request lists them; not those that
    other gateways of the session have adopted.
    """
    queue = house.settings.task_queue
    query = f"WorkflowType = 'AdoptedTask' AND TaskQueue = '{queue}'"
    own = {run.id async for run in house.temporal.list_workflows(query)}
    asked = {"source": "bmc1", "$expand": ".", "$top": "1000"}
    answer = await house.client.get(TASKS, params=asked)
    assert answer.status_code == 200, answer.text
    members: list[dict[str, Any]] = answer.json()["Members"]
    return [task for task in members if task["Id"] in own]


async def the_adopted(house: House, uri: str) -> httpx.Response:
    """Wait until the task of bmc1 that has this URI there is adopted; return its Task
    as GET does. It is adopted once.
    """
    found: list[str] = []

    async def is_adopted() -> bool:
        found[:] = [
            task["@odata.id"]
            for task in await adopted(house)
            if task["Oem"]["Taskfish"]["PluginTaskUri"] == uri
        ]
        return bool(found)

    await until(is_adopted)
    (only,) = found
    return await house.client.get(only)


async def adopted_job(house: House, job: Job) -> httpx.Response:
    """Wait until a task that bmc1 has begun by itself is adopted."""
    return await the_adopted(house, f"{BMC_TASKS}/{job.id}")


async def until_looked(house: House) -> None:
    """Wait until a look at bmc1 that begins now has adopted all that is new there.

    The newest task is adopted first: the second mark begins when the look is under way
    that finds the first, and is found by the next one.
    """
    for _ in range(2):
        await adopted_job(house, others_task(house, name="Mark", seconds=0))


async def names(house: House) -> list[str]:
    """Return the names of the adopted tasks, but for the marks of the test."""
    return sorted(
        task["Name"] for task in await adopted(house) if task["Name"] != "Mark"
    )
