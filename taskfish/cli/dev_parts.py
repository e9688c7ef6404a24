"""The processes that `taskfish dev` runs, and how each shows that it is ready."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from taskfish.cli.local_authority import Tls
from taskfish.cli.supervisor import Part
from taskfish.cli.temporal_server import command_line, make_ready
from taskfish.errors import TransientError

PROBE_TIMEOUT = timedelta(seconds=3)
COMMAND = (sys.executable, "-m", "taskfish.cli.main")


@dataclass(frozen=True)
class Local:
    """Where the parts are found and what they share; with `tls` the API is https."""

    directory: Path
    ports: Mapping[str, int]
    environment: Mapping[str, str]
    tls: Tls | None = None

    def address(self, name: str) -> str:
        """Return host:port of a part."""
        return f"127.0.0.1:{self.ports[name]}"

    def url(self, name: str) -> str:
        """Return the URL of a part."""
        scheme = "https" if self.tls and name == "api" else "http"
        return f"{scheme}://{self.address(name)}"

    @property
    def codec(self) -> str:
        """Return the URL of the API's codec endpoint, for Temporal's Web UI."""
        return f"{self.url('api')}/codec"


def temporal_part(local: Local) -> Part:
    """Return the Temporal development server."""
    address = local.address("temporal")

    async def probe(pid: int) -> bool:
        try:
            await make_ready(address)
        except TransientError:
            return False
        return True

    command = command_line(
        local.directory / "temporal.db",
        local.ports["temporal"],
        local.ports["temporal_ui"],
        local.codec,
    )
    return Part("temporal", tuple(command), local.environment, probe)


def worker_part(local: Local, task_queue: str) -> Part:
    """Return the worker, ready when Temporal has heard from this very process."""
    request = DescribeTaskQueueRequest(
        namespace="default",
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )

    async def probe(pid: int) -> bool:
        client = await Client.connect(local.address("temporal"), lazy=True)
        try:
            answer = await client.workflow_service.describe_task_queue(
                request, timeout=PROBE_TIMEOUT
            )
        except (RPCError, RuntimeError):
            return False
        return any(poller.identity.startswith(f"{pid}@") for poller in answer.pollers)

    return Part("worker", (*COMMAND, "worker"), local.environment, probe)


def api_part(local: Local, http: httpx.AsyncClient) -> Part:
    """Return the northbound service."""
    command = (*COMMAND, "api", "--port", str(local.ports["api"]))

    async def probe(pid: int) -> bool:
        return await is_ready(http, local)

    return Part("api", command, local.environment, probe)


async def is_ready(http: httpx.AsyncClient, local: Local) -> bool:
    """Whether the API answers, and the store and Temporal answer it."""
    return await _answers(http, local.url("api") + "/readyz")


def emulator_part(
    local: Local, http: httpx.AsyncClient, systems: int, bmcs: int
) -> Part:
    """Return the emulated plugin with its systems, and the emulated Redfish BMCs."""
    command = [sys.executable, "-m", "taskfish.plugins.emulator"]
    command += ["--systems", str(systems), "--bmcs", str(bmcs)]
    command += ["--port", str(local.ports["emulator"])]
    for number in range(1, bmcs + 1):
        command += ["--bmc-port", str(local.ports[f"bmc{number}"])]

    async def probe(pid: int) -> bool:
        return await _answers(http, local.url("emulator") + "/emulator/executions")

    return Part("emulator", tuple(command), local.environment, probe)


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url, timeout=3)).is_success
    except httpx.TransportError:
        return False
