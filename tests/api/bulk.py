"""A gateway over a fleet of light machines, and what bulk operations are asked for."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from api.task_reader import TaskReader
from api.task_view import TaskView
from tests.api.events import newest_events
from tests.fleet import Fleet, serving
from tests.house import House, open_house
from tests.workflows.houses import event_names, history_of, until

SERVICE = "/redfish/v1/AggregationService"
RESET = f"{SERVICE}/Actions/AggregationService.Reset"
BOOT_ORDERS = f"{SERVICE}/Actions/AggregationService.SetDefaultBootOrder"
AGGREGATES = f"{SERVICE}/Aggregates"
SYSTEMS = "/redfish/v1/Systems"
FLEET = "fleet"
STEPS_A_RUN = 4
"""So few that a dozen machines already need several runs."""


@dataclass
class FleetHouse:
    """A gateway that has a fleet only."""

    house: House
    fleet: Fleet

    async def reset(self, *names: str, **more: Any) -> httpx.Response:
        """Ask for the reset of these machines, all if none; return the 202."""
        headers = more.pop("headers", {})
        body = reset_body(*(names or self.fleet.names)) | more
        return await self.house.change("POST", RESET, body, **headers)

    async def runs(self, accepted: httpx.Response) -> list[str]:
        """Return the runs of a task that Temporal lists."""
        query = f"WorkflowId = '{accepted.json()['Id']}'"
        return [run.run_id async for run in self.house.temporal.list_workflows(query)]

    async def has_gone_on(self, accepted: httpx.Response) -> bool:
        """Say whether a task has gone on as a new run."""
        handle = self.house.temporal.get_workflow_handle(accepted.json()["Id"])
        info = (await handle.describe()).raw_description.workflow_execution_info
        return info.first_run_id not in ("", info.execution.run_id)

    async def waits_for_timer(self, accepted: httpx.Response) -> bool:
        """Say whether the delay between two batches has begun."""
        return "TIMER_STARTED" in event_names(await history_of(self.house, accepted))

    async def until_followed(
        self, accepted: httpx.Response, names: Iterable[str]
    ) -> None:
        """Wait until the steps on these machines are at their sources, and known."""
        for name in names:
            step = f"{accepted.json()['Id']}:{FLEET}.{name}"
            handle = self.house.temporal.get_workflow_handle(step)

            async def is_followed(run: WorkflowHandle[Any, Any] = handle) -> bool:
                pending = (await run.describe()).raw_description.pending_activities
                return any(
                    each.activity_type.name == "await_completion"
                    and each.HasField("last_started_time")
                    for each in pending
                )

            await until(is_followed)

    async def view(self, accepted: httpx.Response) -> TaskView:
        """Return what the API reads of a task now."""
        reader = TaskReader(self.house.temporal)
        view = await reader.read(accepted.json()["Id"])
        assert view is not None, "it has been removed"
        return view

    async def told(self, accepted: httpx.Response, key: str) -> int:
        """Return how many events of a task have this message."""
        found = await newest_events(self.house, 0)
        return sum(
            each.event.task is not None
            and each.event.task.task_id == accepted.json()["Id"]
            and each.event.message.message_id.endswith(f".{key}")
            for each in found
        )

    async def until_percent(self, accepted: httpx.Response, percent: int) -> None:
        """Wait until a task is so far."""

        async def is_so_far() -> bool:
            task = await self.house.task(accepted)
            return bool(task["PercentComplete"] >= percent)

        await until(is_so_far)

    async def end_tasks(self) -> None:
        """Terminate what runs."""
        queue = self.house.settings.task_queue
        query = f"TaskQueue = '{queue}' AND ExecutionStatus = 'Running'"
        async for run in self.house.temporal.list_workflows(query):
            if ":" not in run.id or run.id.count(":fleet."):
                handle = self.house.temporal.get_workflow_handle(run.id)
                with suppress(RPCError):
                    await handle.terminate()


@asynccontextmanager
async def fleet_house(
    temporal: Client,
    folder: Path,
    key: SecretStr,
    size: int = 12,
    **settings: Any,
) -> AsyncIterator[FleetHouse]:
    """Open a gateway over a fleet of its own."""
    fleet = Fleet(size)
    values = {"bulk_steps_a_run": STEPS_A_RUN} | settings
    async with (
        serving(fleet) as (url,),
        open_house(temporal, folder, key, **values) as house,
    ):
        more = {"MaxConcurrentRequests": 64}
        added = await house.add_source(FLEET, url, "Redfish", "password", more)
        assert added.status_code == 201, added.text
        yield FleetHouse(house, fleet)


def machine(name: str) -> str:
    """Return the URI of a machine of the fleet."""
    return f"{SYSTEMS}/{FLEET}.{name}"


def references(*uris: str) -> list[dict[str, str]]:
    """Return links to resources."""
    return [{"@odata.id": uri} for uri in uris]


def reset_body(*names: str) -> dict[str, Any]:
    """Return the body that resets these machines of the fleet."""
    uris = map(machine, names)
    return {"ResetType": "ForceRestart", "TargetURIs": references(*uris)}
