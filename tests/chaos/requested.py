"""A client that does not give up: it repeats a request until it knows its task."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx

from tests.chaos.changes import Request
from tests.chaos.plans import PlannedChange
from tests.chaos.traces import Trace
from tests.house import TASKS

PAUSE = 0.1
PATIENCE = 90.0
"""For how long a client repeats a request, in seconds."""
SUSPEND, RESUME, KILL = (
    f"Actions/Oem/Taskfish.{verb}" for verb in ("Suspend", "Resume", "Kill")
)


class Requested:
    """One change of a round, from its first request to its last reading."""

    def __init__(
        self, client: httpx.AsyncClient, change: PlannedChange, request: Request
    ) -> None:
        self.change = change
        self.request = request
        self.trace = Trace()
        self.task_id = ""
        self.sendings = 0
        self.refusal = ""
        self.is_rejected = False
        self.known_at = 0.0
        self.ended_at = 0.0
        self._client = client
        self._monitor = ""

    @property
    def uri(self) -> str:
        """The URI of its Task."""
        return f"{TASKS}/{self.task_id}"

    @property
    def ended(self) -> bool:
        """Whether its end was seen, or it was refused."""
        return self.is_unknown or self.trace.ended

    @property
    def is_unknown(self) -> bool:
        """Whether it has no task: it was refused, or another was on the machine."""
        return bool(self.refusal) or self.is_rejected

    async def live(self, begin: float) -> None:
        """Send it at its time, then do what is planned to its task."""
        await asyncio.sleep(begin + self.change.at - time.monotonic())
        await self.send()
        if self.change.cancel_after is not None:
            await asyncio.sleep(self.change.cancel_after)
            await self._cancel()
        if self.change.kill_after is not None:
            await asyncio.sleep(self.change.kill_after)
            await self._act(KILL)
        if self.change.suspend_after is not None:
            await asyncio.sleep(self.change.suspend_after)
            await self._act(SUSPEND)
            await asyncio.sleep(self.change.resume_after)
            await self.resume()

    async def send(self) -> None:
        """Send the request, with the same key each time, until its task is known."""
        answer = await self._persist(self._send)
        task_id = answer.headers.get("Task-Id", "")
        if not task_id and answer.status_code == 409 and self.change.conflict:
            self.is_rejected = True
            return
        if not task_id:
            self.refusal = f"{answer.status_code} {answer.text[:300]}"
            return
        if self.task_id and task_id != self.task_id:
            self.trace.wrong.append(f"its key gave {task_id} after {self.task_id}")
            return
        self.known_at = self.known_at or time.monotonic()
        self.task_id = task_id
        self._monitor = answer.headers.get("Location", "") or self._monitor

    async def resume(self) -> None:
        """Let it go on; nothing happens if nobody has suspended it."""
        await self._act(RESUME)

    async def read(self) -> None:
        """Read the task and note what it says; an answer that breaks off is none."""
        if not self.task_id:
            return
        with suppress(httpx.TransportError):
            self.trace.note(await self._client.get(self.uri))
            if self.trace.ended and not self.ended_at:
                self.ended_at = time.monotonic()

    async def _cancel(self) -> None:
        """Cancel by its monitor: DELETE on the Task would remove one that has ended."""
        if self._monitor and not self.is_unknown:
            await self._persist(lambda: self._client.delete(self._monitor))

    async def _act(self, action: str) -> None:
        if not self.is_unknown:
            uri = f"{self.uri}/{action}"
            await self._persist(lambda: self._client.post(uri, json={}))

    async def _send(self) -> httpx.Response:
        self.sendings += 1
        headers = {"Idempotency-Key": f"key-{self.change.name}"}
        if self.change.chooses_id:
            headers["Task-Id"] = self.change.name
        if self.change.conflict:
            headers["Task-Conflict"] = self.change.conflict
        if self.change.timeout is not None:
            headers["Task-Timeout"] = str(self.change.timeout)
        method, uri = self.request.method, self.request.uri
        return await self._client.request(
            method, uri, json=self.request.body, headers=headers
        )

    async def _persist(
        self, call: Callable[[], Awaitable[httpx.Response]]
    ) -> httpx.Response:
        """Repeat a call that breaks off, or that is answered 503 without a task."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = await call()
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            else:
                late = time.monotonic() > deadline
                known = "Task-Id" in answer.headers
                if late or known or answer.status_code != 503:
                    return answer
            await asyncio.sleep(PAUSE)
