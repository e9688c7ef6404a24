"""What a southbound adapter must do: one Protocol, whatever the source speaks.

Adapters speak the source's own Redfish URIs (`/redfish/v1/Systems/1`); what the
gateway calls the same resource northbound is `taskfish.redfish.links`' business.
Adapters hold no retry loops (D15): they translate, raise from the error tree, return.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, JsonValue

from taskfish.redfish.task import Answer, PluginTask, TaskReport

ChangeMethod = Literal["POST", "PATCH", "PUT", "DELETE"]
EventAccess = Literal["service", "calls", "none"]
ABORTABLE_RESETS: tuple[str, ...] = ("GracefulShutdown", "GracefulRestart", "Nmi")
"""The ResetTypes that wait for the operating system, and may wait for ever."""


class Change(BaseModel):
    """One request that changes something, as Redfish would have it.

    `headers` holds what the caller's request hands on (`If-Match`).
    """

    model_config = ConfigDict(frozen=True)

    method: ChangeMethod
    uri: str
    body: JsonValue = None
    headers: dict[str, str] = {}


class Accepted(BaseModel):
    """The source made a task of its own for the change.

    `task` has neither a monitor nor a Task URI when the source said 202 and nothing
    else; such a task cannot be followed.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["accepted"] = "accepted"
    task: PluginTask
    report: TaskReport


class Answered(BaseModel):
    """The source gave its final answer, good or bad, within the request."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["answered"] = "answered"
    answer: Answer


class ListedTask(BaseModel):
    """A task found in the source's own task list.

    `method`, `target` and `body` come from the Task's Payload, when it shows one.
    """

    model_config = ConfigDict(frozen=True)

    task: PluginTask
    report: TaskReport
    method: str | None = None
    target: str | None = None
    body: JsonValue = None
    name: str | None = None


class Identity(BaseModel):
    """Who answers at a source's address: ServiceRoot.UUID or the plugin's own."""

    model_config = ConfigDict(frozen=True)

    uuid: str | None = None
    has_accounts: bool = False
    has_tasks: bool = False
    """Whether it makes tasks of its own, which can be followed and aborted."""
    aggregates: bool = True
    """False for an ODIM plugin, which has no systems of its own."""


class Plugin(Protocol):
    """One source, reached by its protocol.

    Every method may raise `SourceUnreachableError` (surely not sent),
    `SourceBusyError` (503 or 429), `CredentialsRefusedError` (401 even after one new
    login), `PrivilegeMissingError` (403), `AnswerLostError` (sent, no whole answer)
    and `UnreadableAnswerError`.
    """

    can_list_tasks: bool
    """Whether `list_tasks` can find a task that our client never heard of."""
    sends_preconditions: bool
    """Whether If-Match of the caller reaches the source."""
    events: EventAccess
    """How it is subscribed to: by its EventService, which can be read, by calls of
    its protocol's own, or not at all."""
    abortable_resets: tuple[str, ...]
    """The ResetTypes of a ComputerSystem.Reset that can be aborted under way."""

    async def identify(self) -> Identity:
        """Say who answers, having proved that the credentials are good."""
        ...

    async def check(self) -> None:
        """Raise unless the source answers: the cheapest call its protocol has."""
        ...

    async def read(self, uri: str) -> Answer:
        """GET one resource. A 4xx or 5xx of the source is an Answer, not an error."""
        ...

    def turn(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Take one of the source's concurrent calls for a `submit`.

        Raises `SourceBusyError` when none is free within `seconds`: what is not sent
        soon is better waited for durably.
        """
        ...

    async def submit(self, change: Change) -> Accepted | Answered:
        """Send a change once, on a connection of its own, within a `turn`.

        `SourceUnreachableError` and `SourceBusyError` mean that it surely was not
        carried out; `AnswerLostError` that nobody knows.
        """
        ...

    async def poll(self, task: PluginTask) -> TaskReport:
        """Ask for the source's task; `answer` is set when it has ended.

        Raises `PluginTaskGoneError` on 404 or 410 and `ForeignUriError` when the
        task's URI leaves the source.
        """
        ...

    async def abort(self, task: PluginTask) -> None:
        """Ask the source to abort its task; it has ended only when `poll` says so.

        Passes the limit of concurrent calls. Raises `AbortRefusedError` when the
        source does not abort it, `PluginTaskGoneError` when it is over or another task
        has its place: that is not touched.
        """
        ...

    async def pause(self, task: PluginTask) -> None:
        """Ask the source to suspend its task; it is Suspended when `poll` says so.

        Passes the limit of concurrent calls and may be repeated. Raises
        `PauseRefusedError` when the task does not offer it or the source refuses,
        `PluginTaskGoneError` when it is over, `ForeignUriError` when what it offers
        leads elsewhere.
        """
        ...

    async def resume(self, task: PluginTask) -> None:
        """Ask the source to go on with its task; raises what `pause` raises."""
        ...

    def list_tasks(self, settled: Collection[str] = ()) -> AsyncIterator[ListedTask]:
        """Yield the source's own tasks, newest or not; empty if it cannot list.

        Those whose URIs are `settled` need not be read again, but for the newest.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections and end the session."""
        ...
