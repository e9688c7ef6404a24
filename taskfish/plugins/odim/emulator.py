"""One ODIM plugin over several emulated machines, as an ASGI application.

The wire contract is that of southbound.md A: JSON bodies on every call, the BMC and
its credentials in the body, `/taskmon/<id>` at the root for what takes time.
"""

from typing import Final

from fastapi import FastAPI, Request

from taskfish.plugins import emulated_app
from taskfish.plugins.emulated_app import READS, body_of
from taskfish.plugins.machine.answers import (
    Body,
    no_such,
    not_allowed,
    parse_object,
    refused,
    shaped,
    unauthorized,
)
from taskfish.plugins.machine.jobs import Job
from taskfish.plugins.machine.machine import Machine
from taskfish.plugins.machine.monitors import (
    accepted,
    final_answer,
    location,
    remove,
    with_allow,
)
from taskfish.plugins.machine.services import (
    MONITORS,
    TASKS,
    task_allow,
    task_body,
    task_status,
)
from taskfish.plugins.machine.sessions import authenticate
from taskfish.plugins.machine.task_actions import ACTIONS, act, offered_actions
from taskfish.plugins.odim.emulated_calls import (
    Target,
    host_of,
    manager_body,
    manager_collection,
    north_of,
    parse_target,
    startup_answer,
    status_body,
    to_odim,
)
from taskfish.plugins.odim.emulated_plugin import Plugin
from taskfish.redfish.messages import base_message
from taskfish.redfish.task import Answer, TaskState

TASKMON = "/taskmon/"
CONTROL: Final = {
    "/ODIM/v1/Sessions": "POST",
    "/ODIM/v1/Status": "GET",
    "/ODIM/v1/validate": "POST",
    "/ODIM/v1/Startup": "POST",
    "/ODIM/v1/Subscriptions": "POST, DELETE",
}


def create_app(plugin: Plugin) -> FastAPI:
    """Return the plugin's application."""
    return emulated_app.create_app(plugin.gate, _Calls(plugin).answer)


class _Calls:
    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    async def answer(self, request: Request) -> Answer:
        """Answer one request, in whatever way the modes have it."""
        plugin = self._plugin
        plugin.gate.arrive()
        path = request.url.path.rstrip("/")
        content = await body_of(request)
        if request.method == "POST" and path == "/ODIM/v1/Sessions":
            return self._login(parse_object(content))
        authenticate(
            request.headers, plugin.accepts, plugin.sessions, plugin.gate.modes
        )
        if request.method in READS:
            await plugin.gate.read()
        if path.startswith(TASKMON):
            return await self._taskmon(request, path.removeprefix(TASKMON))
        if not content.strip():
            raise refused(
                base_message("MalformedJSON", text="A JSON body is required.")
            )
        body = parse_object(content)
        control = self._control(request.method, path, body)
        return control or await self._device(request, path, parse_target(body))

    def _login(self, body: Body) -> Answer:
        user_name = body.get("UserName", body.get("Username"))
        if not self._plugin.accepts(str(user_name), str(body.get("Password"))):
            raise unauthorized()
        session = self._plugin.sessions.open(str(user_name))
        return Answer(status=201, headers={"X-Auth-Token": session.token})

    def _control(self, method: str, path: str, body: Body) -> Answer | None:
        """Answer what the plugin answers itself, None for what goes to a BMC."""
        allowed = CONTROL.get(path)
        if allowed is not None and method not in allowed.split(", "):
            raise not_allowed(allowed)
        match path.removeprefix("/ODIM/v1/"):
            case "Status":
                return Answer(status=200, body=status_body(self._plugin.uptime))
            case "Startup":
                return startup_answer(body)
            case "validate":
                return self._validate(parse_target(body))
            case "Subscriptions":
                return self._subscription(method, body)
            case "Managers" | "Managers/plugin" if "ManagerAddress" not in body:
                if method not in READS:
                    raise not_allowed("GET, HEAD")
                single = path.endswith("/plugin")
                shown = manager_body() if single else manager_collection()
                return Answer(status=200, body=shown)
        return None

    def _validate(self, target: Target) -> Answer:
        machine = self._machine(target)
        shown: Body = {
            "ServerIP": target.address,
            "Username": target.user_name,
            "device_UUID": machine.uuid,
        }
        return Answer(status=200, body=shown)

    def _subscription(self, method: str, body: Body) -> Answer:
        target = parse_target(body)
        machine = self._machine(target)
        if not machine.modes.event_service:
            raise no_such("/ODIM/v1/Subscriptions")
        if method == "POST":
            record = self._plugin.record(machine)
            made = machine.publisher.subscribe(target.post_body, record)
            return Answer(status=201, headers={"Location": made.uri}, body={})
        machine.publisher.unsubscribe(str(body.get("Location", "")))
        return shaped(Answer(status=204), None, default=False)

    def _machine(self, target: Target) -> Machine:
        """Return the machine that a call is for, having tried its credentials."""
        machine = self._plugin.machines.get(host_of(target.address))
        if machine is None:
            raise refused(base_message("CouldNotEstablishConnection", target.address))
        machine.arrive()
        known = machine.accounts.accepts(target.user_name, target.password)
        if machine.modes.auth_required and not known:
            raise unauthorized()
        return machine

    async def _device(self, request: Request, path: str, target: Target) -> Answer:
        """Carry a call to the BMC that its body names."""
        machine = self._machine(target)
        uri = north_of(path)
        task_uri, action, name = uri.partition(ACTIONS)
        with machine.gate.traffic:
            job = machine.job_at(task_uri)
            if action and job is not None:
                return act(machine.timeline, job, request.method, name)
            if request.method in READS:
                await machine.gate.read()
                return to_odim(self._read(machine, uri))
            if job is not None and request.method == "DELETE":
                return await self._remove(
                    request, machine, job, uri.startswith(MONITORS)
                )
            self._plugin.gate.refuse_change()
            result = await machine.change(request.method, uri, target.post_body)
            await self._plugin.gate.answer_change()
        if isinstance(result, Job):
            return self._accepted(request, machine, result)
        return to_odim(shaped(result, machine.modes.empty_body, default=False))

    def _read(self, machine: Machine, uri: str) -> Answer:
        job = machine.job_at(uri)
        if job is None:
            return Answer(status=200, body=machine.read(uri))
        allow = machine.allow(uri)
        if uri.startswith(TASKS):
            return with_allow(Answer(status=200, body=machine.read(uri)), allow)
        final = final_answer(machine, job, empty_body=False)
        task_uri = f"{TASKS}/{job.id}"
        going = Answer(status=202, body=_small_body(job, task_uri))
        return final or with_allow(going, allow)

    async def _taskmon(self, request: Request, path: str) -> Answer:
        monitor_id, action, name = path.partition(ACTIONS)
        machine, job = self._plugin.monitors.get(monitor_id, (None, None))
        if machine is None or job is None:
            raise no_such(request.url.path)
        with machine.gate.traffic:
            machine.arrive()
            if action:
                return act(machine.timeline, job, request.method, name)
            if request.method == "DELETE":
                return await self._remove(request, machine, job, only_monitor=True)
            if request.method not in READS:
                raise not_allowed(machine.allow(f"{MONITORS}/{job.id}"))
            await machine.gate.read()
            machine.timeline.advance()
            return self._state(request, machine, job)

    def _state(self, request: Request, machine: Machine, job: Job) -> Answer:
        final = final_answer(machine, job, empty_body=False)
        if final is None:
            going = self._accepted(request, machine, job)
            return with_allow(going, task_allow(job, machine.modes))
        cancelled = job.state is TaskState.CANCELLED
        if cancelled or machine.modes.monitor_ends_with_task:
            small = _small_body(job, "")
            whole = {**task_body(job), **small}
            final = Answer(status=200, body=small if cancelled else whole)
        return to_odim(final)

    def _accepted(self, request: Request, machine: Machine, job: Job) -> Answer:
        modes = machine.modes
        relative = f"{TASKMON}{self._plugin.watch(machine, job)}"
        origin = str(request.base_url).rstrip("/")
        monitor = f"/ODIM/v1{MONITORS.removeprefix('/redfish/v1')}/{job.id}"
        task = f"/ODIM/v1{TASKS.removeprefix('/redfish/v1')}/{job.id}"
        where = location(modes, relative, monitor, task, origin)
        small = _small_body(job, relative)
        answer = to_odim(accepted(modes, where, small, task_body(job)))
        instance = self._plugin.gate.modes.instance
        forwarded = {"X-Forwarded-For": instance} if instance else {}
        return answer.model_copy(update={"headers": answer.headers | forwarded})

    async def _remove(
        self, request: Request, machine: Machine, job: Job, only_monitor: bool
    ) -> Answer:
        if await remove(machine, job, only_monitor):
            return Answer(status=204)
        going = self._accepted(request, machine, job)
        return with_allow(going, task_allow(job, machine.modes))


def _small_body(job: Job, uri: str) -> Body:
    """Return a plugin's short form of a Task, whose actions lie below `uri`."""
    body: Body = {
        "TaskState": job.shown_state.value,
        "TaskStatus": task_status(job),
        "PercentComplete": job.percent,
    }
    if job.messages:
        body["Messages"] = [message.to_json() for message in job.messages]
    return body | offered_actions(job, uri)
