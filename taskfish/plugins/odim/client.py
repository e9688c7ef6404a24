"""The adapter for an ODIM plugin, and for a BMC behind one (southbound.md A)."""

import asyncio
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from functools import partial

from pydantic import JsonValue

from taskfish.errors import (
    AbortRefusedError,
    ForeignUriError,
    PrivilegeMissingError,
    SourceUnreachableError,
    UnreadableAnswerError,
)
from taskfish.plugins import answers, reports
from taskfish.plugins.following import check_before_abort, follow
from taskfish.plugins.odim import mapping
from taskfish.plugins.pausing import Pausing
from taskfish.plugins.protocol import (
    ABORTABLE_RESETS,
    Accepted,
    Answered,
    Change,
    EventAccess,
    Identity,
    ListedTask,
    Plugin,
)
from taskfish.plugins.service import Service
from taskfish.plugins.transport import Call, Reply, Transport
from taskfish.redfish.links import ROOT
from taskfish.redfish.sources import Source
from taskfish.redfish.task import Answer, PluginTask, TaskReport
from taskfish.settings import Settings


def connect(
    source: Source, plugin_source: Source | None, settings: Settings, calls: int
) -> Plugin:
    """Make the adapter of a BMC behind `plugin_source`, or of a plugin (None).

    `calls` limits the concurrent calls for this source from here.
    """
    transport = Transport(plugin_source or source, settings, calls)
    return OdimPlugin(source, plugin_source, transport)


class OdimPlugin:
    """`Plugin` for a BMC behind an ODIM plugin, or for the plugin itself.

    All HTTP goes to the plugin with the plugin's credentials; those of the BMC are in
    the body of every call.
    """

    can_list_tasks = False
    sends_preconditions = False
    abortable_resets = ABORTABLE_RESETS

    def __init__(
        self, source: Source, plugin_source: Source | None, transport: Transport
    ) -> None:
        """Take a BMC and its plugin; without `plugin_source`, `source` is one."""
        self._name = source.id
        self._source = source
        self._plugin = plugin_source or source
        self._device = mapping.device(source) if plugin_source else {}
        self.events: EventAccess = "calls" if plugin_source else "none"
        self._transport = transport
        self._service = Service(transport, self._plugin, mapping.SESSIONS)

    async def identify(self) -> Identity:
        """Validate the BMC's credentials; of a plugin, read its Status."""
        if not self._device:
            await self._prove(Call("GET", mapping.STATUS, body=mapping.STATUS_BODY))
            return Identity(aggregates=False)
        fields: dict[str, JsonValue] = {"DeviceUUID": "", "PluginID": ""}
        body = await self._prove(self._call("POST", mapping.VALIDATE, fields))
        return Identity(
            uuid=mapping.device_uuid(body),
            has_accounts=await self._has_accounts(),
            has_tasks=True,
        )

    async def _has_accounts(self) -> bool:
        try:
            return (await self.read(f"{ROOT}/AccountService")).succeeded
        except PrivilegeMissingError:
            return False

    async def check(self) -> None:
        """Ask for the plugin's Status."""
        await self._prove(Call("GET", mapping.STATUS, body=mapping.STATUS_BODY))

    async def read(self, uri: str) -> Answer:
        """GET one resource, following up to three redirects within the plugin."""
        reply = await self._service.get(self._call("GET", self._path(uri)))
        answer = self._answer(answers.whole(reply, self._name))
        answers.refuse_unread(answer, self._name)
        return answer

    def turn(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Take one of the source's concurrent calls; see `Plugin`."""
        return self._transport.turn(seconds)

    async def submit(self, change: Change) -> Accepted | Answered:
        """Send a change once; see `Plugin`. ODIM carries no headers of the caller."""
        change = change.model_copy(update={"uri": self._service.own(change.uri)})
        path = mapping.change_path(change.uri)
        fields = mapping.change_fields(change, self._source)
        reply = await self._service.send_once(self._call(change.method, path, fields))
        answer = self._answer(reply)
        answers.refuse_unsent(answer, self._name)
        if not reports.is_accepted(answer):
            return Answered(answer=answer)
        return Accepted(
            task=mapping.plugin_task(answer, reply),
            report=reports.accepted_report(answer),
        )

    async def poll(self, task: PluginTask) -> TaskReport:
        """Ask `/taskmon/…` at the instance that runs the task; see `follow`."""
        instance = await self._trusted(task.instance)
        return await follow(task, partial(self._get, instance), self._name)

    async def abort(self, task: PluginTask) -> None:
        """DELETE `/taskmon/…` at the instance that runs the task."""
        if not task.uri:
            raise AbortRefusedError(f"source {self._name} did not name its task")
        instance = await self._trusted(task.instance)
        get = partial(self._get, instance, urgent=True)
        await check_before_abort(task, get, self._name)
        call = self._call(
            "DELETE", self._path(task.uri), instance=instance, urgent=True
        )
        answers.refuse_abort(self._answer(await self._service.ask(call)), self._name)

    async def pause(self, task: PluginTask) -> None:
        """POST to the action that the task offers, at the instance that runs it."""
        await (await self._pausing(task)).pause(task)

    async def resume(self, task: PluginTask) -> None:
        """POST to the action that the task offers, at the instance that runs it."""
        await (await self._pausing(task)).resume(task)

    async def list_tasks(
        self, settled: Collection[str] = ()
    ) -> AsyncIterator[ListedTask]:
        """Yield nothing: the protocol has no list of tasks."""
        nothing: tuple[ListedTask, ...] = ()
        for listed in nothing:
            yield listed

    async def aclose(self) -> None:
        """Close the connections; plugins have no log-out."""
        await self._service.aclose()

    async def _prove(self, call: Call) -> JsonValue:
        """Make a call that shows who answers; raise unless it succeeds."""
        answer = self._answer(await self._service.ask(call))
        answers.refuse_unread(answer, self._name)
        if answer.succeeded:
            return answer.body
        if answer.status >= 500:
            raise answers.out_of_reach(answer, self._name)
        raise UnreadableAnswerError(
            f"source {self._name} answered {call.uri} with {answer.status}:"
            " check its HostName and ConnectionMethod"
        )

    async def _pausing(self, task: PluginTask) -> Pausing:
        instance = await self._trusted(task.instance)
        get = partial(self._get, instance, urgent=True)
        return Pausing(self._name, get, partial(self._act, instance))

    async def _get(
        self, instance: str | None, uri: str, *, urgent: bool = False
    ) -> Answer:
        call = self._call("GET", self._path(uri), instance=instance, urgent=urgent)
        return self._answer(await self._service.get(call))

    async def _act(self, instance: str | None, target: str) -> Answer:
        fields = mapping.change_fields(
            Change(method="POST", uri=target, body={}), self._source
        )
        call = self._call(
            "POST", self._path(target), fields, instance=instance, urgent=True
        )
        return self._answer(await self._service.ask(call))

    async def _trusted(self, instance: str | None) -> str | None:
        """Return an instance's address if the plugin may have it (contracts.md 2)."""
        host = self._service.origin.host
        if instance is None or mapping.same_host(instance, host):
            return None
        listed = self._plugin.options.instances
        known = (*listed, *await _addresses(host, self._name))
        if not any(mapping.same_host(instance, address) for address in known):
            raise ForeignUriError(
                f"the plugin {self._plugin.id} points to the instance {instance},"
                " which is not an address of its host: list it in Instances"
            )
        return instance.strip("[]")

    def _path(self, uri: str) -> str:
        return mapping.south_path(self._service.own(uri))

    def _call(
        self,
        method: str,
        path: str,
        fields: dict[str, JsonValue] | None = None,
        *,
        instance: str | None = None,
        urgent: bool = False,
    ) -> Call:
        return Call(
            method,
            path,
            body={**self._device, **(fields or {})},
            headers={"OdataID": path},
            instance=instance,
            urgent=urgent,
        )

    def _answer(self, reply: Reply) -> Answer:
        return mapping.answer_of(reply, self._service.origin)


async def _addresses(host: str, name: str) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise SourceUnreachableError(
            f"source {name}: the name {host} cannot be resolved: check HostName"
        ) from exc
    return [str(address[0]) for *_, address in found]
