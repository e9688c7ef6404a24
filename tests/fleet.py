"""Many light machines behind one Redfish service, which counts what it carries out.

The emulator has machines that can do everything; these can be reset, and there are
thousands of them: `python -m tests.fleet 2 500 50` serves two fleets of so many, whose
resets take 2 seconds.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from taskfish.plugins.serving import Service, listen

ROOT = "/redfish/v1"
_SYSTEM = re.compile(rf"{ROOT}/Systems/([^/]+)(?:/Actions/ComputerSystem\.(\w+))?")
_MONITOR = re.compile(rf"{ROOT}/TaskService/TaskMonitors/(\d+)")
COUNTS = "/fleet/counts"
RESET_TYPES = ["On", "ForceOff", "ForceRestart", "GracefulRestart"]


@dataclass
class Fleet:
    """`m1` to `m{size}`. A reset takes `seconds`; those in `refusing` answer 409, those
    in `failing` fail, those in `hanging` do not end before they are aborted. `counts`
    has how often each was reset, `began` when.
    """

    size: int
    seconds: float = 0.05
    refusing: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    began: dict[str, float] = field(default_factory=dict)
    most_at_once: int = 0
    _tasks: dict[int, tuple[str, float]] = field(default_factory=dict)
    _numbers: ClassVar[Iterator[int]] = itertools.count(1)

    @property
    def running(self) -> int:
        """How many resets are under way."""
        return len(self._tasks)

    @property
    def names(self) -> list[str]:
        """The machines."""
        return [f"m{number}" for number in range(1, self.size + 1)]

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        status, body, headers = self._answer(scope["method"], scope["path"])
        raw = [(name.encode(), text.encode()) for name, text in headers.items()]
        content = b"" if body is None else json.dumps(body).encode()
        raw += [(b"content-type", b"application/json")]
        raw += [(b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, method: str, path: str) -> tuple[int, Any, dict[str, str]]:
        path = path.rstrip("/")
        if path == ROOT:
            names = ("Systems", "Chassis", "Managers")
            links = {name: {"@odata.id": f"{ROOT}/{name}"} for name in names}
            tasks = {"@odata.id": f"{ROOT}/TaskService"}
            more = {"RedfishVersion": "1.20.0", "Tasks": tasks, **links}
            return 200, self._resource(path, "ServiceRoot", more), {}
        if path == COUNTS:
            return 200, dict(self.counts), {}
        if path == f"{ROOT}/Systems":
            members = [{"@odata.id": f"{ROOT}/Systems/{each}"} for each in self.names]
            return 200, {"@odata.id": path, "Members": members}, {}
        if system := _SYSTEM.fullmatch(path):
            return self._system(method, system[1], system[2])
        if monitor := _MONITOR.fullmatch(path):
            return self._monitor(method, int(monitor[1]))
        if path == f"{ROOT}/SessionService":
            return 200, self._resource(path, "SessionService", {}), {}
        if path in (f"{ROOT}/Chassis", f"{ROOT}/Managers"):
            return 200, {"@odata.id": path, "Members": []}, {}
        return 404, {"error": {"code": "Base.1.18.GeneralError"}}, {}

    def _system(
        self, method: str, name: str, action: str | None
    ) -> tuple[int, Any, dict[str, str]]:
        uri = f"{ROOT}/Systems/{name}"
        if action is None:
            actions = {
                "#ComputerSystem.Reset": {
                    "target": f"{uri}/Actions/ComputerSystem.Reset",
                    "ResetType@Redfish.AllowableValues": RESET_TYPES,
                },
                "#ComputerSystem.SetDefaultBootOrder": {
                    "target": f"{uri}/Actions/ComputerSystem.SetDefaultBootOrder"
                },
            }
            more = {"PowerState": "On", "Actions": actions}
            return 200, self._resource(uri, "ComputerSystem", more), {}
        if method != "POST":
            return 405, None, {}
        if name in self.refusing:
            return 409, {"error": {"message": f"{name} does not want to."}}, {}
        self.counts[name] += 1
        self.began[name] = time.monotonic()
        if action == "SetDefaultBootOrder":
            return 204, None, {}
        number = next(self._numbers)
        self._tasks[number] = (name, time.monotonic() + self.seconds)
        self.most_at_once = max(self.most_at_once, len(self._tasks))
        monitor = f"{ROOT}/TaskService/TaskMonitors/{number}"
        return 202, self._task(number, "Running"), {"Location": monitor}

    def _monitor(self, method: str, number: int) -> tuple[int, Any, dict[str, str]]:
        if number not in self._tasks:
            return 404, {"error": {"code": "Base.1.18.GeneralError"}}, {}
        name, ends_at = self._tasks[number]
        if method == "DELETE":
            del self._tasks[number]
            return 204, None, {}
        if name in self.hanging or time.monotonic() < ends_at:
            return 202, self._task(number, "Running"), {}
        del self._tasks[number]
        if name in self.failing:
            return 500, {"error": {"message": f"{name} has failed."}}, {}
        return 204, None, {}

    def _task(self, number: int, state: str) -> dict[str, Any]:
        uri = f"{ROOT}/TaskService/Tasks/{number}"
        return self._resource(uri, "Task", {"TaskState": state})

    def _resource(self, uri: str, kind: str, more: dict[str, Any]) -> dict[str, Any]:
        name = uri.rpartition("/")[2]
        odata_type = f"#{kind}.v1_0_0.{kind}"
        named = {"@odata.id": uri, "@odata.type": odata_type, "Id": name, "Name": name}
        return named | more


@asynccontextmanager
async def serving(*fleets: Fleet) -> AsyncIterator[list[str]]:
    """Serve fleets while the context lasts; gives their URLs."""
    services = [Service(fleet, 0, lambda: None) for fleet in fleets]
    async with listen(services, "127.0.0.1") as urls:
        yield urls


async def _main(sizes: list[int], seconds: float) -> None:
    async with serving(*(Fleet(size, seconds) for size in sizes)) as urls:
        sys.stdout.write(f"{' '.join(urls)}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main([int(size) for size in sys.argv[2:]], float(sys.argv[1])))
