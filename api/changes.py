"""From a request that changes something to a durable task, or a refusal."""

from datetime import UTC, datetime, timedelta

from fastapi.responses import Response

from api.apply_times import apply_time_of
from api.change_kinds import wait_of
from api.change_request import ChangeRequest
from api.conflicts import leave_turn, take_turn, turn_of
from api.errors import RETRY_AFTER, refuse
from api.etags import etags_in
from api.gateway import Gateway
from api.inline_answer import answer_with_task
from api.preferences import Wait
from api.starting import Claim, StartedTask, digest_of, start_once
from api.task_request import TaskRequest
from api.task_starter import Start
from taskfish.errors import RequestRefusedError
from taskfish.plugins.protocol import Change
from taskfish.redfish.apply_time import OPERATION_APPLY_TIME, ApplyTime
from taskfish.redfish.operations import (
    OperationName,
    is_forced_power_off,
    name_operation,
    new_task_id,
    owner_of_action,
)
from taskfish.redfish.requests import check_body, shown_value
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.secrecy import masked
from taskfish.redfish.sources import Source
from taskfish.redfish.turn import Turn
from taskfish.temporal import MAX_SEARCH_ATTRIBUTE
from workflows.operation import Operation
from workflows.task import TaskMemo
from workflows.time_limits import TimeLimits

DOWN_FOR = timedelta(minutes=1)
"""How long a source must have been silent before changes to it are refused."""


async def answer_change(asked: TaskRequest, request: ChangeRequest) -> Response:
    """Start the change as a task and answer as it ends, or 202 if that takes longer.

    With an apply time it is always 202 (DSP0266 7.12).
    """
    operation = check_request(request)
    new = _NewChange(asked.gateway, request, operation)
    if OPERATION_APPLY_TIME in request.body:
        return await answer_with_task(asked, new, Wait(0))
    default = wait_of(asked.gateway.settings, operation, request.method)
    return await answer_with_task(asked, new, asked.wishes.wait or default)


async def start_change(gateway: Gateway, request: ChangeRequest) -> StartedTask:
    """Start the change as a task; raise what refuses it.

    No call to the source is made here, but to compare an ETag for a source whose
    protocol has no headers for it (contracts.md 2).
    """
    operation = check_request(request)
    return await start_once(gateway, _NewChange(gateway, request, operation))


def check_request(request: ChangeRequest) -> OperationName:
    """Raise what refuses a change that nobody has to be asked for; return its name."""
    check_method(request.method, request.uri)
    _check_length(request.uri)
    operation = name_operation(request.method, request.uri)
    _check_body(request, operation)
    return operation


def check_method(method: str, uri: str) -> None:
    """Raise 405 with Allow for a method that the schemas do not give the resource.

    What the schemas do not know is left to its source.
    """
    allowed = SCHEMA.allowed_at(uri)
    if allowed is not None and method not in allowed:
        raise refuse("OperationNotAllowed", headers={"Allow": ", ".join(allowed)})


def _check_length(uri: str) -> None:
    """Raise 400 for a URI that Temporal cannot keep (contracts.md 1)."""
    if len(uri) > MAX_SEARCH_ATTRIBUTE:
        text = f"The URI is longer than {MAX_SEARCH_ATTRIBUTE} characters."
        raise refuse("ResourceMissingAtURI", uri[:80], text=text, status=400)


def _check_body(request: ChangeRequest, operation: OperationName) -> None:
    problems = check_body(operation.name, request.body)
    _check_offered(request, of_any_type=not problems)
    if problems:
        raise RequestRefusedError(*problems)


def _check_offered(request: ChangeRequest, *, of_any_type: bool) -> None:
    """Raise 400 for an action, or a value of a parameter, that its resource does not
    offer: that names what is right for this very machine, as no schema can.
    """
    action = request.uri.partition("/Actions/")[2]
    member = request.member
    if not action or member is None or not member.allowable_values:
        return
    if not owner_of_action(request.uri).endswith(f"/{member.name}"):
        return
    if action not in member.allowable_values and not action.startswith("Oem/"):
        raise refuse("ActionNotSupported", action)
    for name, allowed in member.allowable_values.get(action, {}).items():
        value = request.body.get(name)
        is_judged = value is not None and (of_any_type or isinstance(value, str))
        if is_judged and value not in allowed:
            words = ", ".join(allowed)
            raise refuse(
                "ActionParameterValueNotInList",
                shown_value(name, value),
                name,
                action,
                resolution=f"Choose one of {words}.",
            )


async def known_source(gateway: Gateway, source_id: str) -> Source:
    """Return a source; raise 503 if it is known to have been silent for a minute."""
    record = await gateway.sources.get(source_id)
    if record is None:
        raise refuse("ResourceNotFound", "AggregationSource", source_id)
    down_since = record.down_since
    if down_since is not None and datetime.now(UTC) - down_since > DOWN_FOR:
        raise refuse(
            "CouldNotEstablishConnection",
            source_id,
            text=f"The source {source_id} has not answered since {down_since:%FT%TZ}.",
            headers={"Retry-After": str(RETRY_AFTER)},
        )
    return record.source


async def _check_precondition(gateway: Gateway, request: ChangeRequest) -> None:
    """Compare If-Match ourselves where the source's protocol cannot."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted == "*":
        return
    async with gateway.connections.open(request.source) as connection:
        if connection.plugin.sends_preconditions:
            return
        answer = await connection.read(request.uri)
    body = answer.body if isinstance(answer.body, dict) else {}
    etag = answer.header("ETag") or body.get("@odata.etag")
    if not etags_in(str(etag or "")) & etags_in(wanted):
        raise refuse("PreconditionFailed")


class _NewChange:
    """The task that a change becomes."""

    def __init__(
        self, gateway: Gateway, request: ChangeRequest, operation: OperationName
    ) -> None:
        self.owner = request.owner
        self.source_id = request.source
        self.always_starts = is_forced_power_off(request.uri, request.body)
        self.wishes = request.wishes
        self.digest = digest_of(
            request.method, request.uri, request.body, request.headers, request.wishes
        )
        self._gateway = gateway
        self._request = request
        self._operation = operation
        self._apply_time: ApplyTime | None = None
        self._secret: str | None = None
        self._abortable = True

    def new_id(self) -> str:
        """Return an Id that people can read."""
        return new_task_id(self._operation)

    async def check(self) -> None:
        """Raise what refuses the change, and read when it is to be made."""
        source = await known_source(self._gateway, self._request.source)
        self._abortable = source.has_tasks
        await _check_precondition(self._gateway, self._request)
        self._apply_time = await apply_time_of(self._gateway, self._request)

    async def prepare(self, claim: Claim) -> Start:
        """Take its turn and keep its secrets; raise 409 if it is not to wait."""
        turn, supersedes = await self._turn(claim)
        request, body = self._request, self._request.body or None
        shown = masked(body)
        if shown != body:
            secret_bodies = self._gateway.secret_bodies
            self._secret = await secret_bodies.keep(body, claim.task_id)
        change = Change(
            method=request.method, uri=request.uri, body=shown, headers=request.headers
        )
        operation = self._input(claim.token, change).model_copy(
            update={"turn": turn, "supersedes": supersedes}
        )
        return Start(
            task_id=claim.task_id,
            operation=self._operation,
            source=request.source,
            owner=request.owner,
            input=operation,
            memo=self._memo(claim, change),
            summary=self._operation.summary(shown),
            request_id=request.wishes.request_id,
            tags=request.wishes.tags,
            machines=request.machines,
        )

    async def abandon(self, claim: Claim) -> None:
        """Give the turn up and forget the secrets.

        A turn that another try of the same request may need ends by itself.
        """
        if not claim.shared:
            await leave_turn(self._gateway, claim.token)
        if self._secret is not None:
            await self._gateway.secret_bodies.forget(self._secret)

    async def _turn(self, claim: Claim) -> tuple[Turn, tuple[str, ...]]:
        """Take the turn now, or say which one it takes when its time has come."""
        wish = self.wishes.conflict or self._gateway.settings.conflict
        if self._waits_for_its_time:
            return await turn_of(self._gateway, self._request, wish), ()
        return await take_turn(
            self._gateway, self._request, wish, claim.task_id, claim.token
        )

    def _input(self, token: str, change: Change) -> Operation:
        limits = TimeLimits.model_validate(self._gateway.settings)
        return Operation(
            operation=self._operation.name,
            source=self._request.source,
            change=change,
            token=token,
            secret_body=self._secret,
            submit_deadline=limits.submit_deadline,
            answer_timeout=limits.submit_answer_timeout,
            heartbeat_timeout=limits.heartbeat_timeout,
            interrupted_after=limits.interrupted_after_of(self._operation.name),
            deadline=self._deadline,
            abort_grace=limits.abort_grace,
            apply_time=self._apply_time,
            logs_events=True,
        )

    def _memo(self, claim: Claim, change: Change) -> TaskMemo:
        return TaskMemo(
            token=claim.token,
            chosen=claim.chosen,
            deadline=self._deadline,
            abortable=self._abortable,
            not_before=self._apply_time.window_start if self._apply_time else None,
            name=f"{self._operation.name} {self._operation.target}",
            method=change.method,
            uri=change.uri,
            headers=tuple(f"{name}: {text}" for name, text in change.headers.items()),
            body=change.body,
        )

    @property
    def _deadline(self) -> float | None:
        """The caller's, or that of its kind; none while it waits for its time."""
        if self.wishes.timeout is not None:
            return self.wishes.timeout
        if self._waits_for_its_time:
            return None
        limits = TimeLimits.model_validate(self._gateway.settings)
        return limits.deadline_of(self._operation.name)

    @property
    def _waits_for_its_time(self) -> bool:
        return self._apply_time is not None and self._apply_time.value != "Immediate"
