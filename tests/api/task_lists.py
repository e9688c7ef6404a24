"""Tasks in every state for tests of lists, and how their lists are read."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

import httpx

from tests.api.governing import act
from tests.house import LONGEST_WAIT, POLL, TASKS, House

Body = dict[str, Any]


@dataclass(frozen=True)
class Gallery:
    """Tasks with a tag of their own: name → the 202 that started it."""

    tag: str
    accepted: dict[str, httpx.Response]

    def ids(self, *names: str) -> set[str]:
        """Return the Ids of some, of all without names."""
        wanted = names or tuple(self.accepted)
        return {self.accepted[name].json()["Id"] for name in wanted}

    def names(self, answer: httpx.Response) -> list[str]:
        """Return which of them a list has, in its order."""
        by_id = {each.json()["Id"]: name for name, each in self.accepted.items()}
        found = [uri.rpartition("/")[2] for uri in uris(answer)]
        return [by_id[task_id] for task_id in found if task_id in by_id]


async def gallery(house: House) -> Gallery:
    """Start tasks that complete, fail, are cancelled, killed, hang and are paused."""
    tag = f"t{uuid.uuid4().hex[:8]}"
    headers = {"Task-Tags": f"{tag},night"}
    reset = "Actions/ComputerSystem.Reset"

    async def start(system: str, **more: str) -> httpx.Response:
        uri = f"/redfish/v1/Systems/{system}/{reset}"
        body = {"ResetType": "ForceRestart"}
        return await house.change("POST", uri, body, **headers, **more)

    accepted = {"done": await start("node1.1", **{"X-Request-Id": f"req-{tag}"})}
    await house.ended(accepted["done"])
    house.emulator.set_modes("node2", fail=True)
    accepted["failed"] = await start("node2.1")
    await house.ended(accepted["failed"])
    house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    for name in ("cancelled", "killed"):
        accepted[name] = await start("bmc1.1")
        await house.until(accepted[name], "Running")
    await house.client.delete(accepted["cancelled"].json()["@odata.id"])
    await house.ended(accepted["cancelled"])
    await act(house, accepted["killed"], "Kill")
    drives = [{"@odata.id": "/redfish/v1/Systems/bmc1.1/Storage/1/Drives/1"}]
    accepted["running"] = await house.change(
        "POST",
        "/redfish/v1/Systems/bmc1.1/Storage/1/Volumes",
        {"Name": "data", "RAIDType": "RAID0", "Links": {"Drives": drives}},
        **{"Task-Tags": tag},
    )
    await house.until(accepted["running"], "Running")
    house.emulator.set_modes("node1", pause_at=50)
    accepted["paused"] = await start("node1.1")
    await house.until(accepted["paused"], "Suspended")
    return Gallery(tag, accepted)


def uris(answer: httpx.Response) -> list[str]:
    """Return the members of a page."""
    assert answer.status_code == 200, answer.text
    return [member["@odata.id"] for member in answer.json()["Members"]]


async def listed(house: House, *, uri: str = TASKS, **params: Any) -> httpx.Response:
    """Read a list; names with a `$` are given as `_top`, `_filter`…"""
    asked = {name.replace("_", "$", 1): value for name, value in params.items()}
    return await house.client.get(uri, params=asked)


async def all_pages(house: House, first: httpx.Response) -> list[Body]:
    """Follow the pages of a list and return all members."""
    members: list[Body] = list(first.json()["Members"])
    answer = first
    while link := answer.json().get("Members@odata.nextLink"):
        answer = await house.client.get(link)
        assert answer.status_code == 200, answer.text
        members += answer.json()["Members"]
    return members


async def until_visible(house: House, shown: Gallery) -> None:
    """Wait until visibility itself knows all of them as they are."""
    query = f"TaskTags = '{shown.tag}'"
    states = {"done": "Completed", "failed": "Exception", "cancelled": "Cancelled"}
    wanted = {
        shown.accepted[name].json()["Id"]: states.get(name) for name in shown.accepted
    }
    async with asyncio.timeout(LONGEST_WAIT):
        while True:
            found = {
                run.id: run.typed_search_attributes
                async for run in house.temporal.list_workflows(query)
            }
            open_runs = {
                run.id
                async for run in house.temporal.list_workflows(
                    f"{query} AND ExecutionStatus = 'Running'"
                )
            }
            if set(found) == set(wanted) and open_runs == shown.ids(
                "running", "paused"
            ):
                return
            await asyncio.sleep(POLL)
