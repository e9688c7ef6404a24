"""Send a change once (D4): what `submit` is asked and what may come of it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from temporalio import activity
from temporalio.client import Client

from activities.errors import answer_to, as_application_errors
from activities.evidence import Snapshot, is_reset, snapshot, without_marks
from activities.finishing import finish
from activities.heartbeat import heartbeating
from activities.held_back import held_back
from activities.machine_state import MachineState
from activities.other_resets import is_reset_under_way
from activities.reset_gate import ResetGate
from taskfish.errors import (
    AnswerLostError,
    PermanentError,
    SecretsGoneError,
    SourceBusyError,
    SourceUnreachableError,
    StoreUnavailableError,
    TransientError,
)
from taskfish.plugins.connection import Connection
from taskfish.plugins.connections import Connections
from taskfish.plugins.protocol import Accepted, Answered, Change
from taskfish.redfish.apply_time import without_apply_time, without_window
from taskfish.redfish.echoes import Echoes
from taskfish.redfish.limits import MAX_JOURNAL_BODY, cut
from taskfish.redfish.messages import base_message
from taskfish.redfish.operations import owner_of_action
from taskfish.redfish.secrecy import unmasked
from taskfish.redfish.task import Answer
from taskfish.redfish.verdicts import failed_answer
from taskfish.store.journal import Journal, JournalEntry, JournalKey
from taskfish.store.secret_bodies import SecretBodies

_HOLDS_FOR_NOTHING = ("Nmi", "ForceOff")
"""Resets that changes do not go before: with an Nmi the machine goes on, and a forced
power-off always passes."""

logger = logging.getLogger(__name__)


class NotSent(BaseModel):
    """Surely nothing was carried out: it may be sent again, by a new step."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["not_sent"] = "not_sent"
    reason: str
    answer: Answer | None = None
    """What the client gets if it stays so."""
    retry_after: float | None = None


class Unchanged(BaseModel):
    """A look showed the same object as before: PATCH, PUT, DELETE may be repeated.

    `before` is what was seen of it before the first sending.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["unchanged"] = "unchanged"
    before: JsonValue = None


class Unknown(BaseModel):
    """Nobody knows what it did: it is never sent again."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["unknown"] = "unknown"
    reason: str


Submission = Annotated[
    Accepted | Answered | NotSent | Unchanged | Unknown, Field(discriminator="kind")
]


class SubmitRequest(BaseModel):
    """One sending. `change` is northbound; `secret_body` refers to its true body.

    A repeated sending has in `expected` what the first one saw of the object: it is
    made only if that is still there. Its answer is waited for until `deadline` at most.
    With `strips_apply_time` it was the gateway that kept the apply time; `token` is
    that of a change which has waited for a reset.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    change: Change
    secret_body: str | None = None
    key: JournalKey
    expected: JsonValue = None
    deadline: datetime | None = None
    strips_apply_time: bool = False
    token: str | None = None


class SubmitActivities:
    """Activities that send, given what they need by the composition root."""

    def __init__(
        self,
        client: Client,
        connections: Connections,
        journal: Journal,
        secret_bodies: SecretBodies,
        machine_state: MachineState,
        reset_gate: ResetGate,
    ) -> None:
        self._client = client
        self._connections = connections
        self._journal = journal
        self._secret_bodies = secret_bodies
        self._machine_state = machine_state
        self._reset_gate = reset_gate

    @activity.defn
    async def submit(self, request: SubmitRequest) -> Submission:
        """Send the request unless it may have been sent, and say what came of it.

        One attempt: the workflow decides what follows. What cannot be told from here
        is `Unknown`, never an error.
        """
        async with heartbeating():
            try:
                reason = await self._lets_others_go_first(request)
                if reason is not None:
                    return _held_back(reason)
            except StoreUnavailableError as error:
                return _not_sent(error, request.change.uri)
            return await finish(self._submit(request))

    @activity.defn
    async def forget_secrets(self, reference: str) -> None:
        """Delete the secrets of a change that has ended."""
        with as_application_errors(reference):
            async with heartbeating():
                await self._secret_bodies.forget(reference)

    async def _lets_others_go_first(self, request: SubmitRequest) -> str | None:
        """Hold a reset until what waits for it is sent; return why it is not to be
        sent itself any more.
        """
        body = request.change.body
        reset_type = body.get("ResetType") if isinstance(body, dict) else None
        if not is_reset(request.change) or reset_type in _HOLDS_FOR_NOTHING:
            return None
        system = owner_of_action(request.change.uri)
        return await self._reset_gate.let_pass(system, request.key.workflow_id)

    async def _submit(self, request: SubmitRequest) -> Submission:
        entry = await self._journal.entry(request.key)
        if entry is not None:
            return recorded(entry)
        try:
            async with self._connections.open(request.source, fresh=True) as connection:
                return await self._send(connection, request)
        except StoreUnavailableError as error:
            return _not_sent(error, request.change.uri)
        except PermanentError as error:
            return Answered(answer=answer_to(error, request.change.uri))

    async def _send(self, connection: Connection, request: SubmitRequest) -> Submission:
        """Look at the target, insert the journal's row, send, keep the answer.

        The look and the turn may take their time: who has cancelled meanwhile was told
        that nothing more is sent. So Temporal is always asked once more, for 3 ms.
        """
        change = await self._change_to_send(request)
        try:
            before = await self._seen_before(connection, request, change)
            if request.expected is not None and before != request.expected:
                return Unknown(reason="another object has taken its place since")
            async with connection.turn():
                run_id = activity.info().workflow_run_id
                task_id = request.key.workflow_id
                reason = await held_back(self._client, task_id, run_id)
                if reason is not None:
                    return _held_back(reason)
                submission = await self._send_now(connection, request, change, before)
        except TransientError as error:
            return _not_sent(error, change.uri)
        if request.token is not None:
            await self._release_resets(request.token)
        if isinstance(submission, Answered):
            await self._machine_state.refresh(request.source, change.uri)
        return submission

    async def _seen_before(
        self, connection: Connection, request: SubmitRequest, change: Change
    ) -> Snapshot | None:
        """Return what is to tell of the change later; of a reset nothing while another
        one is under way.
        """
        key, source = request.key, request.source
        system = owner_of_action(change.uri)
        is_unsettled = is_reset(change) and await is_reset_under_way(
            self._journal, key, source, system
        )
        before = await snapshot(connection, change)
        return without_marks(before) if before and is_unsettled else before

    async def _send_now(
        self,
        connection: Connection,
        request: SubmitRequest,
        change: Change,
        before: Snapshot | None,
    ) -> Submission:
        """Insert the journal's row and send: from here on nothing is repeated."""
        if not await self._journal.begin(request.key, request.source, before):
            return Unknown(reason="another worker has begun to send it")
        try:
            async with _until(request.deadline):
                submission = await connection.submit(change)
        except (SourceUnreachableError, SourceBusyError):
            await self._journal.forget(request.key)
            raise
        except AnswerLostError as error:
            return Unknown(reason=str(error))
        except PermanentError as error:
            submission = Answered(answer=answer_to(error, change.uri))
        if request.secret_body is not None:
            submission = _without_echoes(submission, Echoes(change.body))
        await self._keep(request, submission)
        return submission

    async def _keep(
        self, request: SubmitRequest, submission: Accepted | Answered
    ) -> None:
        """Journal the answer; without a store Temporal's history will still have it."""
        try:
            await keep_answer(self._journal, request.key, submission)
        except StoreUnavailableError:
            logger.warning("the answer to %s is not in the journal", request.key)

    async def _release_resets(self, token: str) -> None:
        """Let the reset go on that waits; without a store it sees the task go on."""
        try:
            await self._reset_gate.forget(token)
        except StoreUnavailableError:
            logger.warning("a reset may wait though the change is sent")

    async def _change_to_send(self, request: SubmitRequest) -> Change:
        """Return the change with its secrets, without what is not the source's."""
        body = request.change.body
        if request.secret_body is not None:
            kept = await self._secret_bodies.get(request.secret_body)
            if kept is None:
                raise SecretsGoneError("the secrets of the request are not kept")
            body = unmasked(body, kept)
        strip = without_apply_time if request.strips_apply_time else without_window
        return request.change.model_copy(update={"body": strip(body)})


@asynccontextmanager
async def _until(deadline: datetime | None) -> AsyncIterator[None]:
    """Give the answer up at the deadline of its task: what it did is then unknown."""
    left = None
    if deadline is not None:
        left = (deadline - datetime.now(UTC)).total_seconds()
    try:
        async with asyncio.timeout(left):
            yield
    except TimeoutError as error:
        raise AnswerLostError("the source had not answered at the deadline") from error


def recorded(entry: JournalEntry) -> Submission:
    """Return what the journal knows of a sending that had begun before."""
    if entry.fenced:
        return Unknown(reason="it was given up before it was sent")
    if entry.answer is None:
        return Unknown(reason="the worker was lost while it was being sent")
    if isinstance(entry.answer, dict) and entry.answer.get("kind") == "accepted":
        return Accepted.model_validate(entry.answer)
    return Answered.model_validate(entry.answer)


async def keep_answer(
    journal: Journal,
    key: JournalKey,
    submission: Accepted | Answered,
    *,
    is_found: bool = False,
) -> None:
    """Journal what a source answered, with what tells it from other sendings.

    Of a result that was found the task at the source, if it made one, is not known.
    """
    if isinstance(submission, Accepted):
        task = submission.task
        await journal.answered(
            key, journaled(submission), plugin_task=task.uri, started=task.started
        )
    else:
        created = submission.answer.header("Location")
        unknown = "" if is_found else None
        await journal.answered(
            key, journaled(submission), plugin_task=unknown, created=created
        )


def journaled(submission: Accepted | Answered) -> JsonValue:
    """Return the form that the journal keeps, long bodies cut."""
    if isinstance(submission, Answered):
        short = cut(submission.answer, MAX_JOURNAL_BODY)
        submission = Answered(answer=short)
    kept: JsonValue = submission.model_dump(mode="json", by_alias=True)
    return kept


def _without_echoes(
    submission: Accepted | Answered, echoes: Echoes
) -> Accepted | Answered:
    """Return what a source answered without the secrets that it repeats."""
    if isinstance(submission, Answered):
        return submission.model_copy(
            update={"answer": echoes.answer(submission.answer)}
        )
    return submission.model_copy(update={"report": echoes.report(submission.report)})


def _held_back(reason: str) -> NotSent:
    message = base_message(
        "OperationFailed",
        text=f"The change was not made: {reason}.",
        resolution="Repeat the request if it is still wanted.",
    )
    return NotSent(reason=reason, answer=failed_answer(message))


def _not_sent(error: TransientError, uri: str) -> NotSent:
    return NotSent(
        reason=str(error),
        answer=answer_to(error, uri),
        retry_after=error.retry_after,
    )
