"""The state of an emulated ODIM plugin process: what its restart forgets."""

import time
from collections.abc import Callable, Iterable

from taskfish.plugins.machine.answers import Body
from taskfish.plugins.machine.gate import Gate
from taskfish.plugins.machine.jobs import Job
from taskfish.plugins.machine.machine import Machine
from taskfish.plugins.machine.modes import Modes
from taskfish.plugins.machine.sessions import Sessions
from taskfish.plugins.machine.task_events import TaskEvent
from taskfish.plugins.odim.emulated_events import odim_record


class Plugin:
    """The plugin's own state: logins and monitors."""

    def __init__(
        self,
        machines: Iterable[Machine],
        credentials: tuple[str, str] = ("admin", "plugin"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gate = Gate(Modes())
        self.sessions = Sessions(clock)
        self.machines = {machine.name: machine for machine in machines}
        self.monitors: dict[str, tuple[Machine, Job]] = {}
        self._monitor_ids: dict[Job, str] = {}
        self.started = clock()
        self._clock = clock
        self._credentials = credentials
        self._next_monitor = 1
        self._forgotten: set[Job] = set()

    @property
    def uptime(self) -> float:
        """Seconds since the plugin began."""
        return self._clock() - self.started

    def accepts(self, user_name: str, password: str) -> bool:
        """Whether these are the plugin's own credentials."""
        return (user_name, password) == self._credentials

    def restart(self, reset_ids: bool = True) -> None:
        """Forget monitors and sessions; the machines' work goes on."""
        self._forgotten.update(self._monitor_ids)
        self.monitors.clear()
        self._monitor_ids.clear()
        self.sessions.forget()
        if reset_ids:
            self._next_monitor = 1

    def renew(self, modes: Modes) -> None:
        """Become a new plugin at the same address."""
        self.restart()
        self._forgotten.clear()
        self.gate.modes = modes
        self.gate.traffic.reset()

    def watch(self, machine: Machine, job: Job) -> str:
        """Return the monitor's id of a job, the same one every time."""
        if job not in self._monitor_ids:
            monitor_id = f"t{self._next_monitor}"
            self._next_monitor += 1
            self._monitor_ids[job] = monitor_id
            self.monitors[monitor_id] = (machine, job)
        return self._monitor_ids[job]

    def record(self, machine: Machine) -> Callable[[TaskEvent], Body | None]:
        """Return what writes the events of a machine's tasks as ODIM has them.

        Of a task that it has forgotten the plugin says nothing.
        """

        def write(event: TaskEvent) -> Body | None:
            if event.job in self._forgotten:
                return None
            return odim_record(event, self.watch(machine, event.job))

        return write
