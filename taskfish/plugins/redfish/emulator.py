"""One Redfish BMC over an emulated machine, as an ASGI application."""

from fastapi import FastAPI, Request

from taskfish.plugins import emulated_app
from taskfish.plugins.emulated_app import READS, body_of
from taskfish.plugins.machine.answers import (
    Body,
    no_such,
    not_allowed,
    parse_object,
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
from taskfish.plugins.machine.publisher import redfish_record
from taskfish.plugins.machine.resources import ROOT, text_of
from taskfish.plugins.machine.services import (
    MONITORS,
    SESSIONS,
    TASKS,
    session_body,
    task_body,
)
from taskfish.plugins.machine.sessions import authenticate
from taskfish.plugins.machine.subscriptions import SUBSCRIPTIONS, allowed
from taskfish.plugins.machine.task_actions import ACTIONS, act
from taskfish.redfish.task import Answer

HEADERS = {"OData-Version": "4.0", "Cache-Control": "no-cache"}
VERSIONS: Body = {"v1": f"{ROOT}/"}


def create_app(machine: Machine) -> FastAPI:
    """Return the BMC of a machine."""
    return emulated_app.create_app(machine.gate, _Bmc(machine).answer, HEADERS)


class _Bmc:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def answer(self, request: Request) -> Answer:
        """Answer one request, in whatever way the modes have it."""
        machine = self._machine
        machine.arrive()
        uri = request.url.path.rstrip("/")
        body = parse_object(await body_of(request))
        reads = request.method in READS
        if reads and uri == "/redfish":
            return Answer(status=200, body=VERSIONS)
        if request.method == "POST" and uri == SESSIONS:
            return self._login(body)
        if not (reads and uri == ROOT):
            authenticate(
                request.headers,
                machine.accounts.accepts,
                machine.sessions,
                machine.modes,
            )
        task_uri, action, name = uri.partition(ACTIONS)
        job = machine.job_at(task_uri)
        if action and job is not None:
            return act(machine.timeline, job, request.method, name)
        if reads:
            await machine.gate.read()
            return self._read(uri, _origin(request))
        return await self._change(request, uri, body)

    def _login(self, body: Body) -> Answer:
        user_name, password = text_of(body, "UserName"), text_of(body, "Password")
        if not self._machine.accounts.accepts(user_name, password):
            raise unauthorized()
        session = self._machine.sessions.open(user_name)
        shown = session_body(session)
        headers = {
            "X-Auth-Token": session.token,
            "Location": f"{SESSIONS}/{session.id}",
        }
        return Answer(status=201, headers=headers, body=shown)

    def _read(self, uri: str, origin: str) -> Answer:
        machine = self._machine
        job = machine.job_at(uri)
        if job is not None and uri.startswith(MONITORS):
            return self._monitor(job, origin)
        body = machine.read(uri)
        headers = {"Allow": self._allow(uri), "ETag": str(body["@odata.etag"])}
        return Answer(status=200, headers=headers, body=body)

    def _allow(self, uri: str) -> str:
        if uri == SESSIONS:
            return "GET, HEAD, POST"
        if uri.startswith(f"{SESSIONS}/"):
            return "GET, HEAD, DELETE"
        return allowed(uri) or self._machine.allow(uri)

    def _monitor(self, job: Job, origin: str) -> Answer:
        uri = f"{MONITORS}/{job.id}"
        if job.ended is not None and job.answer is None:
            raise no_such(uri)
        final = final_answer(self._machine, job, empty_body=True)
        if final is not None:
            return final
        return with_allow(self._accepted(job, origin), self._machine.allow(uri))

    def _accepted(self, job: Job, origin: str) -> Answer:
        monitor, task = f"{MONITORS}/{job.id}", f"{TASKS}/{job.id}"
        modes, body = self._machine.modes, task_body(job)
        where = location(modes, monitor, monitor, task, origin)
        return accepted(modes, where, body, body)

    async def _change(self, request: Request, uri: str, body: Body) -> Answer:
        machine = self._machine
        job = machine.job_at(uri)
        if job is not None:
            return await self._remove(request, uri, job)
        if uri == SESSIONS or uri.startswith(f"{SESSIONS}/"):
            return self._logout(request.method, uri)
        if machine.modes.event_service and allowed(uri) is not None:
            return self._subscription(request.method, uri, body)
        result = await machine.change(
            request.method, uri, body, request.headers.get("if-match")
        )
        if isinstance(result, Job):
            return self._accepted(result, _origin(request))
        return shaped(result, machine.modes.empty_body, True)

    async def _remove(self, request: Request, uri: str, job: Job) -> Answer:
        if request.method != "DELETE":
            raise not_allowed(self._machine.allow(uri))
        if await remove(self._machine, job, uri.startswith(MONITORS)):
            return Answer(status=204)
        accepted = self._accepted(job, _origin(request))
        return with_allow(accepted, self._machine.allow(uri))

    def _subscription(self, method: str, uri: str, body: Body) -> Answer:
        """Make or drop a subscription: neither is a change of the machine."""
        publisher = self._machine.publisher
        if method == "POST" and uri == SUBSCRIPTIONS:
            made = publisher.subscribe(body, redfish_record)
            return Answer(status=201, headers={"Location": made.uri}, body=made.body())
        if method != "DELETE" or uri == SUBSCRIPTIONS:
            raise not_allowed(self._allow(uri))
        publisher.unsubscribe(uri)
        return Answer(status=204)

    def _logout(self, method: str, uri: str) -> Answer:
        session_id = uri.removeprefix(SESSIONS).strip("/")
        if session_id not in self._machine.sessions.by_id and session_id:
            raise no_such(uri)
        if method != "DELETE" or not session_id:
            raise not_allowed(self._allow(uri))
        del self._machine.sessions.by_id[session_id]
        return Answer(status=204)


def _origin(request: Request) -> str:
    return str(request.base_url).rstrip("/")
