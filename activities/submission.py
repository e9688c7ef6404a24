"""Send a change once (D4): what `submit` is asked and what may come of it."""

import logging
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from temporalio import activity

from activities.errors import answer_to, as_application_errors
from activities.evidence import Snapshot, snapshot
from activities.finishing import finish
from activities.heartbeat import heartbeating
from activities.machine_state import MachineState
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
from taskfish.redfish.limits import MAX_JOURNAL_BODY, cut
from taskfish.redfish.task import Answer
from taskfish.store.journal import Journal, JournalEntry, JournalKey
from taskfish.store.secret_bodies import SecretBodies

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
    made only if that is still there.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    change: Change
    secret_body: str | None = None
    key: JournalKey
    expected: JsonValue = None


class SubmitActivities:
    """Activities that send, given what they need by the composition root."""

    def __init__(
        self,
        connections: Connections,
        journal: Journal,
        secret_bodies: SecretBodies,
        machine_state: MachineState,
    ) -> None:
        self._connections = connections
        self._journal = journal
        self._secret_bodies = secret_bodies
        self._machine_state = machine_state

    @activity.defn
    async def submit(self, request: SubmitRequest) -> Submission:
        """Send the request unless it may have been sent, and say what came of it.

        One attempt: the workflow decides what follows. What cannot be told from here
        is `Unknown`, never an error.
        """
        async with heartbeating():
            return await finish(self._submit(request))

    @activity.defn
    async def forget_secrets(self, reference: str) -> None:
        """Delete the secrets of a change that has ended."""
        with as_application_errors(reference):
            async with heartbeating():
                await self._secret_bodies.forget(reference)

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
        """Look at the target, insert the journal's row, send, keep the answer."""
        change = await self._with_secrets(request)
        try:
            before = await snapshot(connection, change)
            if request.expected is not None and before != request.expected:
                return Unknown(reason="another object has taken its place since")
            async with connection.turn():
                submission = await self._send_now(connection, request, change, before)
        except TransientError as error:
            return _not_sent(error, change.uri)
        if isinstance(submission, Answered):
            await self._machine_state.refresh(request.source, change.uri)
        return submission

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
            submission = await connection.submit(change)
        except (SourceUnreachableError, SourceBusyError):
            await self._journal.forget(request.key)
            raise
        except AnswerLostError as error:
            return Unknown(reason=str(error))
        except PermanentError as error:
            submission = Answered(answer=answer_to(error, change.uri))
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

    async def _with_secrets(self, request: SubmitRequest) -> Change:
        if request.secret_body is None:
            return request.change
        body = await self._secret_bodies.get(request.secret_body)
        if body is None:
            raise SecretsGoneError("the secrets of the request are not kept any more")
        return request.change.model_copy(update={"body": body})


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
    journal: Journal, key: JournalKey, submission: Accepted | Answered
) -> None:
    """Journal what a source answered, with what tells it from other sendings."""
    if isinstance(submission, Accepted):
        task = submission.task
        await journal.answered(
            key, journaled(submission), plugin_task=task.uri, started=task.started
        )
    else:
        created = submission.answer.header("Location")
        await journal.answered(key, journaled(submission), created=created)


def journaled(submission: Accepted | Answered) -> JsonValue:
    """Return the form that the journal keeps, long bodies cut."""
    if isinstance(submission, Answered):
        short = cut(submission.answer, MAX_JOURNAL_BODY)
        submission = Answered(answer=short)
    kept: JsonValue = submission.model_dump(mode="json", by_alias=True)
    return kept


def _not_sent(error: TransientError, uri: str) -> NotSent:
    return NotSent(
        reason=str(error),
        answer=answer_to(error, uri),
        retry_after=error.retry_after,
    )
