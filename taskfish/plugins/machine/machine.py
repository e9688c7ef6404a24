"""One emulated machine: its resources, its changes under way, and their count."""

import asyncio
import time
from collections.abc import Callable
from uuid import NAMESPACE_DNS, uuid5

from pydantic import JsonValue

from taskfish.plugins.machine.accounts import Accounts
from taskfish.plugins.machine.answers import (
    Body,
    DroppedConnectionError,
    done,
    no_such,
    not_allowed,
    refused,
)
from taskfish.plugins.machine.executions import Execution
from taskfish.plugins.machine.gate import Gate
from taskfish.plugins.machine.jobs import Job, Timeline, Work
from taskfish.plugins.machine.manager import Manager, add_chassis
from taskfish.plugins.machine.modes import Modes
from taskfish.plugins.machine.power import Power
from taskfish.plugins.machine.publisher import Publisher
from taskfish.plugins.machine.resources import (
    ROOT,
    Tree,
    etag,
    refuse_apply_time,
)
from taskfish.plugins.machine.services import (
    MONITORS,
    TASK_SERVICE,
    TASKS,
    add_sessions,
    service_root,
    task_allow,
    task_body,
    task_collection,
    task_service,
)
from taskfish.plugins.machine.sessions import Sessions
from taskfish.plugins.machine.storage import Storage
from taskfish.plugins.machine.subscriptions import add_service
from taskfish.plugins.machine.system import System
from taskfish.plugins.machine.update import Firmware
from taskfish.redfish.messages import base_message, success_body
from taskfish.redfish.task import Answer

LONGEST_NAP = 0.05


class Machine:
    """A machine with its BMC, whatever protocol it is reached by.

    Time is not simulated by tasks: every look at the machine first lets happen what
    is due by the clock.
    """

    def __init__(
        self,
        name: str,
        credentials: tuple[str, str] = ("admin", "password"),
        modes: Modes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.uuid = str(uuid5(NAMESPACE_DNS, f"{name}.emulator.taskfish"))
        self.gate = Gate(modes or Modes())
        self._credentials = credentials
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        """Make every part as it comes from the factory."""
        self.away = False
        self.sessions = Sessions(self._clock)
        self.timeline = Timeline(self._clock, lambda: self.gate.modes)
        self.publisher = Publisher(self.timeline, lambda: self.gate.modes, self._clock)
        self._executions: list[Execution] = []
        self.power = Power(self.timeline.wall)
        self.system = System(self.name, self._uuid_of("system"), self.power)
        self.storage = Storage(self.uuid[:8].upper())
        manager_uuid = self._uuid_of("manager")
        self.manager = Manager(manager_uuid, self._leave, self._restarted)
        self.firmware = Firmware(self._leave, self._come_back)
        self.accounts = Accounts(*self._credentials)
        self.power.at_boot += [
            self.system.apply_at_boot,
            lambda: self.firmware.restarted("BIOS"),
            self.timeline.release,
        ]

    def _uuid_of(self, part: str) -> str:
        return str(uuid5(NAMESPACE_DNS, f"{part}.{self.name}.emulator.taskfish"))

    @property
    def modes(self) -> Modes:
        """The modes as they are now."""
        return self.gate.modes

    @property
    def executions(self) -> list[Execution]:
        """What was accepted to be carried out, oldest first."""
        self.timeline.advance()
        return self._executions

    @property
    def power_state(self) -> str:
        """ComputerSystem.PowerState at this moment."""
        self.timeline.advance()
        return self.power.state

    def set_modes(self, **changes: JsonValue) -> Modes:
        """Change some modes from now on; what has happened stays as it was."""
        self.timeline.advance()
        modes = self.gate.merge(changes)
        self.timeline.advance()
        return modes

    def reset_modes(self, modes: Modes) -> None:
        """Replace all the modes."""
        self.timeline.advance()
        self.gate.modes = modes
        self.timeline.advance()

    def renew(self, modes: Modes) -> None:
        """Become a new machine of the same name, with these modes."""
        self.gate.modes = modes
        self.gate.traffic.reset()
        self.publisher.forget()
        self._begin()

    def clear_executions(self) -> None:
        """Forget what was carried out, for the next count."""
        self.executions.clear()
        self.gate.traffic.reset()

    def restart(self, reset_ids: bool = True) -> None:
        """Forget tasks and sessions; with `reset_ids` task ids begin at 0 again."""
        self.timeline.advance()
        self.timeline.forget(reset_ids)
        self.sessions.forget()
        self.away = False

    def arrive(self) -> None:
        """Let a request in, unless the machine answers nobody."""
        self.timeline.advance()
        self.gate.arrive()
        if self.away:
            raise DroppedConnectionError

    def allow(self, uri: str) -> str:
        """Return the Allow header of a URI, empty if there is nothing."""
        job = self.job_at(uri)
        return self._tree().allow(uri) if job is None else task_allow(job, self.modes)

    def read(self, uri: str) -> Body:
        """Return a resource's body as it is now; a refusal if there is none."""
        self.timeline.advance()
        job = self.job_at(uri)
        tree = self._tree()
        if job is not None and uri.startswith(TASKS):
            body = task_body(job)
        elif uri in tree.resources:
            body = tree.resources[uri]()
        elif tree.allow(uri):
            raise not_allowed(tree.allow(uri))
        else:
            raise no_such(uri)
        clockless = {key: body[key] for key in body if key != "DateTime"}
        return body | {"@odata.etag": etag(clockless)}

    def job_at(self, uri: str) -> Job | None:
        """Return the job whose Task or monitor has this URI."""
        self.timeline.advance()
        collection_uri, _, task_id = uri.rpartition("/")
        if collection_uri not in (TASKS, MONITORS):
            return None
        return self.timeline.jobs.get(task_id)

    async def change(
        self, method: str, uri: str, body: Body, if_match: str | None = None
    ) -> Answer | Job:
        """Carry out a change, or begin to; a Job is to be answered with 202."""
        self.timeline.advance()
        handler = self._tree().changes.get((method, uri))
        if handler is None:
            allow = self.allow(uri)
            raise not_allowed(allow) if allow else no_such(uri)
        self.gate.refuse_change()
        if not self.modes.apply_times:
            refuse_apply_time(body)
        self._require_match(uri, if_match)
        work = handler(body)
        execution = Execution(
            machine=self.name,
            method=method,
            uri=uri,
            body=body or None,
            at=self.timeline.wall(),
        )
        self._executions.append(execution)
        result = await self._carry_out(work, execution)
        await self.publisher.tell_early()
        await self.gate.answer_change()
        return result

    async def _carry_out(self, work: Work, execution: Execution) -> Answer | Job:
        modes = self.modes
        as_task = self._becomes_task(work)
        lags = work.lags and not modes.slow_sync and not modes.fail
        timed = as_task or lags or (modes.slow_sync and not work.at_once)
        job = self.timeline.start(work, execution, modes.seconds if timed else 0.0)
        if as_task:
            self.timeline.show(job)
        self.timeline.advance()
        if as_task:
            return job
        if lags:
            return done()
        await self._wait(job)
        return self.final_answer(job)

    def _becomes_task(self, work: Work) -> bool:
        if work.at_once:
            return False
        if work.waits_for_reset or self.modes.answer == "task":
            return True
        if self.modes.answer == "sync" or self.modes.slow_sync:
            return False
        return work.long

    async def _wait(self, job: Job) -> None:
        while job.ended is None:
            until = self.timeline.next_event() - self._clock()
            await asyncio.sleep(max(0.0, min(LONGEST_NAP, until)))
            self.timeline.advance()
            if job.ended is None and job not in self.timeline.active:
                raise DroppedConnectionError

    def final_answer(self, job: Job) -> Answer:
        """Return what a change that has ended well or badly answers."""
        answer = job.answer or done()
        if job.hidden and job.work.says and answer.status == 204:
            return Answer(status=200, body=success_body(*job.work.says))
        if answer.status != 204 or job.work.shows is None:
            return answer
        return Answer(status=200, body=self.read(job.work.shows))

    def abort(self, job: Job) -> None:
        """Cancel a job, as far as the mode `abort` lets; a refusal if it does not."""
        self.timeline.advance()
        if self.modes.abort in ("refused", "unsupported"):
            raise not_allowed("GET, HEAD")
        if self.modes.abort == "supported" and job.cancel_at is None:
            self.timeline.cancel(job)

    def start_own_task(self, name: str = "Own task", seconds: float = 2.0) -> Job:
        """Begin a task that nobody asked for; it is no execution."""
        self.timeline.advance()
        execution = Execution(
            machine=self.name, method="POST", uri=ROOT, at=self.timeline.wall()
        )
        job = self.timeline.start(Work(name, done), execution, seconds)
        self.timeline.show(job)
        self.timeline.advance()
        return job

    def _require_match(self, uri: str, if_match: str | None) -> None:
        if (
            if_match is None
            or if_match.strip() == "*"
            or uri not in self._tree().resources
        ):
            return
        tags = [tag.strip().removeprefix("W/") for tag in if_match.split(",")]
        if self.read(uri)["@odata.etag"] not in tags:
            raise refused(base_message("PreconditionFailed"))

    def _tree(self) -> Tree:
        modes, firmware = self.modes, self.firmware
        tree = Tree()
        tree.add(ROOT, lambda: service_root(self.name, self.uuid, modes.event_service))
        self.system.add_to(tree, lambda: firmware.versions["BIOS"], modes.exclusive)
        self.storage.add_to(tree, modes.reuse_volume_ids, modes.apply_times)
        self.manager.add_to(tree, lambda: firmware.versions["BMC"])
        add_chassis(tree, self.uuid, self.power)
        firmware.add_to(tree, modes)
        self.accounts.add_to(tree)
        tree.add(TASK_SERVICE, task_service)
        tree.add(TASKS, lambda: task_collection(self._listed()))
        if modes.event_service:
            add_service(tree, self.publisher.subscriptions)
        add_sessions(tree, list(self.sessions.by_id.values()), modes.token_lifetime)
        return tree

    def _listed(self) -> list[Job]:
        return list(self.timeline.jobs.values()) if self.modes.task_list else []

    def _leave(self) -> None:
        self.away = True

    def _come_back(self) -> None:
        self.away = False
        self.sessions.forget()

    def _restarted(self) -> None:
        self.timeline.forget(reset_ids=True)
        self.firmware.restarted("BMC")
        self._come_back()
