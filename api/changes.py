"""From a request that changes something to a durable task, or a refusal."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fastapi.responses import Response
from pydantic import JsonValue

from api.errors import RETRY_AFTER, refuse
from api.gateway import Gateway
from api.task_service import accepted_task
from api.task_starter import Start
from taskfish.errors import (
    RequestRefusedError,
    TemporalUnavailableError,
)
from taskfish.plugins.protocol import Change, ChangeMethod
from taskfish.redfish.inventory import Member
from taskfish.redfish.operations import (
    OperationName,
    name_operation,
    new_task_id,
    owner_of_action,
)
from taskfish.redfish.requests import check_body
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.secrecy import masked
from taskfish.temporal import MAX_SEARCH_ATTRIBUTE
from workflows.operation import Operation
from workflows.task import TaskMemo

DOWN_FOR = timedelta(minutes=1)
"""How long a source must have been silent before changes to it are refused."""
SLOW_RESTARTS = ("UpdateService.", "Manager.Reset")
"""Operations that restart the BMC itself (contracts.md 2)."""


@dataclass(frozen=True)
class ChangeRequest:
    """A change as it came in: `uri` is northbound, `member` what it belongs to.

    `targets` are the members that it touches where it belongs to none.
    """

    method: ChangeMethod
    uri: str
    body: dict[str, JsonValue]
    source: str
    owner: str
    member: Member | None = None
    headers: dict[str, str] = field(default_factory=dict)
    targets: tuple[Member, ...] = ()

    @property
    def machines(self) -> tuple[str, ...]:
        """The URIs of the members that it touches."""
        touched = (self.member,) if self.member else self.targets
        return tuple(dict.fromkeys(member.uri for member in touched))


async def start_change(gateway: Gateway, request: ChangeRequest) -> Response:
    """Start the change as a task and answer 202; raise what refuses it.

    No call to the source is made here, but to compare an ETag for a source whose
    protocol has no headers for it (contracts.md 2).
    """
    check_method(request.method, request.uri)
    _check_length(request.uri)
    operation = name_operation(request.method, request.uri)
    _check_body(request, operation)
    await _check_source(gateway, request.source)
    await _check_precondition(gateway, request)
    start = await _start_of(gateway, request, operation)
    await _start_or_forget(gateway, start)
    return await accepted_task(gateway, start.task_id)


def check_method(method: str, uri: str) -> None:
    """Raise 405 with Allow for a method that the schemas do not give the resource.

    What the schemas do not know is left to its source.
    """
    if "/Actions/" in uri:
        allowed: tuple[str, ...] = ("POST",)
    else:
        kind = SCHEMA.kind_at(uri)
        if kind is None:
            return
        replaced = "PATCH" in kind.methods and "PUT" not in kind.methods
        allowed = kind.allowed + (("PUT",) if replaced else ())
    if method not in allowed:
        raise refuse("OperationNotAllowed", headers={"Allow": ", ".join(allowed)})


def _check_length(uri: str) -> None:
    """Raise 400 for a URI that Temporal cannot keep (contracts.md 1)."""
    if len(uri) > MAX_SEARCH_ATTRIBUTE:
        text = f"The URI is longer than {MAX_SEARCH_ATTRIBUTE} characters."
        raise refuse("ResourceMissingAtURI", uri[:80], text=text, status=400)


def _check_body(request: ChangeRequest, operation: OperationName) -> None:
    problems = check_body(operation.name, request.body)
    if problems:
        raise RequestRefusedError(*problems)
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
        if value is not None and value not in allowed:
            words = ", ".join(allowed)
            raise refuse(
                "ActionParameterValueNotInList",
                str(value)[:80],
                name,
                action,
                resolution=f"Choose one of {words}.",
            )


async def _check_source(gateway: Gateway, source_id: str) -> None:
    """Raise 503 if the source is known to have been silent for a minute."""
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
    if etag not in [tag.strip() for tag in wanted.split(",")]:
        raise refuse("PreconditionFailed")


async def _start_or_forget(gateway: Gateway, start: Start) -> None:
    """Start the task; if it surely has not started, its secrets are not kept."""
    try:
        await gateway.starter.start(start)
    except TemporalUnavailableError:
        if isinstance(start.input, Operation) and start.input.secret_body:
            await gateway.secret_bodies.forget(start.input.secret_body)
        raise


async def _start_of(
    gateway: Gateway, request: ChangeRequest, operation: OperationName
) -> Start:
    body = request.body or None
    shown = masked(body)
    settings = gateway.settings
    slow = operation.name.startswith(SLOW_RESTARTS)
    task_id = new_task_id(operation)
    secret = None
    if shown != body:
        secret = await gateway.secret_bodies.keep(body, task_id)
    return Start(
        task_id=task_id,
        operation=operation,
        source=request.source,
        owner=request.owner,
        input=Operation(
            operation=operation.name,
            source=request.source,
            change=Change(
                method=request.method,
                uri=request.uri,
                body=shown,
                headers=request.headers,
            ),
            secret_body=secret,
            submit_deadline=settings.submit_deadline,
            answer_timeout=settings.submit_answer_timeout,
            heartbeat_timeout=settings.heartbeat_timeout,
            interrupted_after=settings.interrupted_after_update
            if slow
            else settings.interrupted_after,
        ),
        memo=TaskMemo(
            name=f"{operation.name} {operation.target}",
            method=request.method,
            uri=request.uri,
            headers=tuple(f"{name}: {text}" for name, text in request.headers.items()),
            body=shown,
        ),
        summary=operation.summary(shown),
        machines=request.machines,
    )
