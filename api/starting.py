"""From a request to its one task: every way to start one goes through here.

A request is kept in the store before its task starts. So a crash in between is healed
by the client's own retry where it has sent an Idempotency-Key, and a start has a token
by which Temporal, the store and the task's memo know it (contracts.md 6).
"""

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from api.errors import refuse, task_in_use
from api.gateway import Gateway
from api.request_headers import TaskWishes
from api.responses import task_uri
from api.service_enabled import refuse_if_disabled
from api.task_starter import Start
from api.task_view import TaskView
from taskfish.errors import (
    RequestRefusedError,
    StoreUnavailableError,
    TaskfishError,
    TemporalUnavailableError,
)
from taskfish.store.requests import RequestRecord

REMOVAL_SECONDS = 0.5
"""How long a start waits for the removal of the task that had its Id before."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claim:
    """A request's right to start one task: its Id, and the token of its one start.

    `chosen`: the caller has chosen the Id; `replaces` is then the ended task that has
    had it. `shared`: the same request may be under way elsewhere with the same token,
    because it has an Idempotency-Key.
    """

    task_id: str
    token: str
    chosen: bool = False
    replaces: TaskView | None = None
    shared: bool = False


@dataclass(frozen=True)
class StartedTask:
    """A task that has started; `repeated`: an earlier request has started it.

    `first_run_id` stays the same when the workflow is reset; `run_id` is the newest.
    """

    task_id: str
    run_id: str
    first_run_id: str
    chosen: bool
    repeated: bool = False


class NewTask(Protocol):
    """One task that a request asks for."""

    @property
    def owner(self) -> str:
        """Who asks for it."""

    @property
    def source_id(self) -> str:
        """The source that it is about."""

    @property
    def always_starts(self) -> bool:
        """Whether it starts however many tasks there are."""

    @property
    def wishes(self) -> TaskWishes:
        """What the request's headers ask for."""

    @property
    def digest(self) -> bytes:
        """What tells the request from others with the same Idempotency-Key."""

    def new_id(self) -> str:
        """Return an Id for a task whose caller has chosen none."""

    async def check(self) -> None:
        """Raise what refuses the request, before anything is kept."""

    async def prepare(self, claim: Claim) -> Start:
        """Keep what the task needs; may be called again for the same claim."""

    async def abandon(self, claim: Claim) -> None:
        """Drop what `prepare` has kept: the task has surely not started."""


def digest_of(
    method: str,
    uri: str,
    body: JsonValue,
    headers: Mapping[str, str],
    wishes: TaskWishes,
) -> bytes:
    """Return what two requests share that ask for the same: not to be read back."""
    asked = [method, uri, body, dict(headers)]
    asked += [wishes.task_id, list(wishes.tags), wishes.timeout, wishes.conflict]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()


async def start_once(gateway: Gateway, new: NewTask) -> StartedTask:
    """Start the task; of a repeated Idempotency-Key return the one that it has started.

    Raises 422 for a key that came with another request, 409 naming the running task
    for an Id in use, 503 while no task may start, or none more of its source or owner,
    and what the task itself raises.
    """
    known = await _known(gateway, new)
    if isinstance(known, StartedTask):
        return known
    await refuse_if_disabled(gateway)
    await new.check()
    async with gateway.task_limits.place(
        new.source_id, new.owner, always=new.always_starts
    ):
        claim = known or await _claim(gateway, new)
        if isinstance(claim, StartedTask):
            return claim
        return await _start(gateway, new, claim)


async def _known(gateway: Gateway, new: NewTask) -> StartedTask | Claim | None:
    """Return what became of the request that came with this key before."""
    key = new.wishes.key
    record = await gateway.requests.with_key(new.owner, key) if key else None
    return await _repeated(gateway, new, record) if record else None


async def _repeated(
    gateway: Gateway, new: NewTask, record: RequestRecord
) -> StartedTask | Claim | None:
    """Return the task of an earlier request, or its claim if that has not started.

    None: its task has been removed since, and the key with it.
    """
    if not record.is_for(new.digest):
        raise refuse(
            "HeaderInvalid",
            "Idempotency-Key",
            text="This Idempotency-Key has come with another request before.",
            resolution="Send a new key with each new request, the same key and request "
            "to repeat one.",
            status=422,
        )
    chosen = new.wishes.task_id is not None
    view = await _newest_run(gateway, record)
    if view is not None and view.request.token == record.token:
        if record.run_id is None:
            await gateway.requests.started(record.token, view.first_run_id)
        first = view.first_run_id
        return StartedTask(view.id, view.run_id, first, chosen, repeated=True)
    if record.run_id is not None:
        await gateway.requests.forget(record.task_id, record.run_id)
        return None
    _check_free(gateway, new, record.task_id, view)
    return Claim(record.task_id, record.token, chosen, view, shared=True)


def _check_free(
    gateway: Gateway, new: NewTask, task_id: str, holder: TaskView | None
) -> None:
    """Raise 409 if a task cannot have an Id: another runs under it, or the service made
    it for another, which may not be replaced by whoever knows it.
    """
    if holder is None:
        return
    if not holder.state.ended:
        raise _in_use(gateway, new, task_id, holder)
    if not holder.request.chosen:
        raise refuse(
            "ResourceAlreadyExists",
            "Task",
            "Id",
            task_id,
            resolution="Choose another Task-Id: this one was made for another task.",
        )


def _in_use(
    gateway: Gateway, new: NewTask, task_id: str, holder: TaskView | None
) -> RequestRefusedError:
    """Return the 409 for an Id in use; it names only what its caller may see."""
    is_own = holder is not None and holder.owner == new.owner
    is_seen = is_own or not gateway.settings.owner_only
    return task_in_use(task_uri(task_id) if is_seen else None)


async def _newest_run(gateway: Gateway, record: RequestRecord) -> TaskView | None:
    """Return the newest run of a request's Id, unless that is another start's and its
    own is known: a reset goes on in a new run, and its first has ended.
    """
    newest = await gateway.tasks.read(record.task_id)
    is_its_own = newest is not None and newest.request.token == record.token
    if is_its_own or record.run_id is None:
        return newest
    return await gateway.tasks.read(record.task_id, record.run_id)


async def _claim(gateway: Gateway, new: NewTask) -> Claim | StartedTask:
    """Keep the request, under a new token; another with its key may come first."""
    wishes, token = new.wishes, secrets.token_hex(16)
    task_id = wishes.task_id or new.new_id()
    while earlier := await gateway.requests.add(
        token=token,
        owner=new.owner,
        task_id=task_id,
        key=wishes.key,
        digest=new.digest if wishes.key else None,
    ):
        known = await _repeated(gateway, new, earlier)
        if known is not None:
            return known
    shared = wishes.key is not None
    if wishes.task_id is None:
        return Claim(task_id, token, shared=shared)
    try:
        replaces = await gateway.tasks.read(task_id)
        _check_free(gateway, new, task_id, replaces)
    except TaskfishError:
        await gateway.requests.forget_start(token)
        raise
    return Claim(task_id, token, True, replaces, shared)


async def _start(gateway: Gateway, new: NewTask, claim: Claim) -> StartedTask:
    """Start what is claimed; what surely has not started leaves nothing behind."""
    try:
        start = await new.prepare(claim)
    except TaskfishError:
        await _give_up(gateway, new, claim)
        raise
    try:
        run_id = await gateway.starter.start(start)
    except TemporalUnavailableError:
        await _give_up(gateway, new, claim)
        raise
    if run_id is None:
        await _give_up(gateway, new, claim)
        holder = await gateway.tasks.read(claim.task_id)
        raise _in_use(gateway, new, claim.task_id, holder)
    await _note_started(gateway, claim, new.owner, run_id)
    return StartedTask(claim.task_id, run_id, run_id, claim.chosen)


async def _give_up(gateway: Gateway, new: NewTask, claim: Claim) -> None:
    await new.abandon(claim)
    await gateway.requests.forget_start(claim.token)


async def _note_started(
    gateway: Gateway, claim: Claim, owner: str, run_id: str
) -> None:
    """Remember the run, and remove the one whose Id has started again.

    Another owner's stays readable at its monitor, which names the run. The task runs
    whether this succeeds or not; retention does what is left.
    """
    try:
        await gateway.requests.started(claim.token, run_id)
        if claim.replaces is not None and claim.replaces.owner == owner:
            await _remove(gateway, claim.replaces)
    except (StoreUnavailableError, TemporalUnavailableError) as error:
        logger.warning("the start of %s is not fully noted: %s", claim.task_id, error)


async def _remove(gateway: Gateway, earlier: TaskView) -> None:
    """Remove the task whose Id has started again, without waiting until it is gone."""
    await gateway.requests.forget(earlier.id, earlier.first_run_id)
    with suppress(TimeoutError):
        async with asyncio.timeout(REMOVAL_SECONDS):
            await gateway.removal.remove_run(*earlier.run)
