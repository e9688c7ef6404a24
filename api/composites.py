"""From a request for a multi-step operation to its one task, or a refusal.

All of its steps are checked before the first one begins, each as if it had come as a
request of its own: its privileges, its method, its body, its machine (contracts.md 7).
"""

from collections.abc import Iterable, Iterator
from typing import cast

from fastapi import Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.aggregated import member_at
from api.apply_times import apply_time_of
from api.authentication import User
from api.change_request import ChangeRequest
from api.changes import check_method, check_request, known_source
from api.checked_bodies import checked_action
from api.conflicts import leave_turn, take_turn
from api.errors import refuse
from api.gateway import Gateway
from api.inline_answer import answer_started
from api.preferences import Wait
from api.privileges import require_for
from api.request_headers import TaskWishes
from api.starting import Claim, digest_of, start_once
from api.task_starter import Start
from taskfish.plugins.protocol import ChangeMethod
from taskfish.redfish.apply_time import OPERATION_APPLY_TIME, needs_window
from taskfish.redfish.expressions import steps_in, with_any
from taskfish.redfish.inventory import Member
from taskfish.redfish.operations import (
    OperationName,
    composite_at,
    new_task_id,
    owner_of_action,
)
from taskfish.redfish.secrecy import masked
from taskfish.redfish.steps import UNDO, Plan, PlanError, Step, StepRequest, steps_of
from taskfish.store.accounts import AcceptedForm
from workflows.composite import Composite
from workflows.composition import CompositeOperation, Parameters
from workflows.operations import OPERATIONS
from workflows.step_calls import place_of
from workflows.steps import planned
from workflows.task import TaskMemo
from workflows.time_limits import TimeLimits


async def answer_composite(
    http: Request,
    gateway: Gateway,
    user: User,
    form: AcceptedForm,
    wishes: TaskWishes,
    uri: str,
    body: dict[str, JsonValue],
) -> Response:
    """Start the operation that a POST to the action `uri` asks for, and answer as it
    ends, or 202 if that takes longer.
    """
    new = NewComposite(gateway, user, wishes, uri, body)
    started = await start_once(gateway, new)
    wait = wishes.wait or Wait(gateway.settings.wait_other)
    return await answer_started(http, gateway, form, started, wait)


class NewComposite:
    """The task that a request for a multi-step operation becomes."""

    always_starts = False

    def __init__(
        self,
        gateway: Gateway,
        user: User,
        wishes: TaskWishes,
        uri: str,
        body: dict[str, JsonValue],
    ) -> None:
        self.owner = user.name
        self.wishes = wishes
        self.digest = digest_of("POST", uri, body, {}, wishes)
        self._gateway = gateway
        self._user = user
        self._uri = uri
        self._body = body
        self._name, self._plan = planned_at(uri, body)
        self._members: tuple[Member, ...] = ()
        self._kept: dict[str, str] = {}

    @property
    def source_id(self) -> str:
        """The one source that it is about; empty if there are several, or none."""
        places = [place_of(request) for request in _requests(self._plan)]
        sources = {place.source for place in places if place is not None}
        return sources.pop() if len(sources) == 1 else ""

    def new_id(self) -> str:
        """Return an Id that people can read."""
        return new_task_id(self._name)

    async def check(self) -> None:
        """Raise what refuses the operation: the first step that cannot be made."""
        members = [
            await check_step(self._gateway, self._user, self.wishes, step)
            for step in steps_of(self._plan)
        ]
        touched = {each.uri: each for found in members for each in found}
        self._members = tuple(touched.values())

    async def prepare(self, claim: Claim) -> Start:
        """Take its turn on all machines, and keep the secrets of its steps."""
        change = self._change_request()
        wish = self.wishes.conflict or self._gateway.settings.conflict
        turn, _ = await take_turn(
            self._gateway, change, wish, claim.task_id, claim.token
        )
        await self._keep_secrets(claim.task_id)
        shown = masked(self._body)
        return Start(
            task_id=claim.task_id,
            operation=self._name,
            source=self.source_id,
            owner=self.owner,
            input=Composite(
                operation=self._name.name,
                uri=self._uri,
                parameters=shown,
                token=claim.token,
                privileges=tuple(sorted(self._user.privileges)),
                secrets=self._kept,
                limits=TimeLimits.model_validate(self._gateway.settings),
                deadline=self.wishes.timeout,
                turn=turn,
            ),
            memo=TaskMemo(
                token=claim.token,
                chosen=claim.chosen,
                deadline=self.wishes.timeout,
                name=f"{self._name.name} {self._name.target}",
                method="POST",
                uri=self._uri,
                body=shown,
            ),
            summary=self._name.summary(shown),
            request_id=self.wishes.request_id,
            tags=self.wishes.tags,
            machines=tuple(each.uri for each in self._members),
            plan=planned(self._plan),
        )

    async def abandon(self, claim: Claim) -> None:
        """Give the turn up and forget the secrets."""
        if not claim.shared:
            await leave_turn(self._gateway, claim.token)
        for reference in self._kept.values():
            await self._gateway.secret_bodies.forget(reference)

    def _change_request(self) -> ChangeRequest:
        """Return what the operation is to others on its machines."""
        return ChangeRequest(
            method="POST",
            uri=self._uri,
            body=self._body,
            source=self.source_id,
            owner=self.owner,
            wishes=self.wishes,
            targets=self._members,
        )

    async def _keep_secrets(self, task_id: str) -> None:
        """Keep the bodies with secrets, sealed, under the names of their steps."""
        self._kept = {}
        for name, body in _secret_bodies(self._plan):
            reference = await self._gateway.secret_bodies.keep(body, task_id)
            self._kept[name] = reference


def planned_at(uri: str, body: dict[str, JsonValue]) -> tuple[OperationName, Plan]:
    """Return the name and the steps of the operation that an action is.

    Raises 404 for an action that there is not, 400 for its parameters.
    """
    name = composite_at(uri)
    operation = OPERATIONS.get(name.name) if name else None
    if name is None or operation is None:
        raise refuse("ResourceMissingAtURI", uri)
    parameters = checked_action(operation.parameters, body, name.name)
    plan = _plan(operation, name.name, uri, parameters)
    known = [step.name for step in steps_of(plan)]
    for step in parameters.pause_before:
        if step not in known:
            raise refuse(
                "ActionParameterValueNotInList",
                step,
                "PauseBefore",
                name.name,
                resolution=f"Choose from {', '.join(known)}.",
            )
    return name, plan


def _plan(
    operation: type[CompositeOperation], name: str, uri: str, parameters: Parameters
) -> Plan:
    try:
        return operation.plan(owner_of_action(uri), parameters)
    except PlanError as error:
        raise refuse(
            "ActionParameterValueConflict",
            error.parameter,
            error.why,
            resolution=f"Correct {error.parameter} of {name}: {error.why}.",
        ) from error


async def check_step(
    gateway: Gateway, user: User, wishes: TaskWishes, step: Step
) -> list[Member]:
    """Raise what refuses a step, or its undoing; return the members that it touches.

    What comes from an earlier answer is not known yet: the step itself is refused then.
    """
    touched = []
    for request in filter(None, (step.request, step.undo)):
        uri = with_any(request.uri)
        if not uri.startswith("/"):
            continue
        require_for(user, request.method, uri)
        touched += await _touched(gateway, user, wishes, request, uri)
    return touched


async def _touched(
    gateway: Gateway, user: User, wishes: TaskWishes, request: StepRequest, uri: str
) -> list[Member]:
    if composite_at(uri) is not None:
        body = request.body if isinstance(request.body, dict) else {}
        _, plan = planned_at(uri, body)
        inner = [
            await check_step(gateway, user, wishes, each) for each in steps_of(plan)
        ]
        return [member for found in inner for member in found]
    place = place_of(request.model_copy(update={"uri": uri}))
    if place is None or place.member is None:
        raise refuse(
            "ResourceMissingAtURI",
            uri,
            text=f"{uri} is no resource of a machine.",
            resolution="Let steps work on what an AggregationSource has.",
        )
    member = await member_at(gateway, place.member)
    await known_source(gateway, member.source)
    if request.method == "GET":
        return []
    await _check_change(gateway, user, wishes, request, uri, member)
    return [member]


async def _check_change(
    gateway: Gateway,
    user: User,
    wishes: TaskWishes,
    request: StepRequest,
    uri: str,
    member: Member,
) -> None:
    """Raise what would refuse the change as a request of its own."""
    body = request.body if isinstance(request.body, dict) else {}
    change = ChangeRequest(
        method=cast(ChangeMethod, request.method),
        uri=uri,
        body=body,
        source=member.source,
        owner=user.name,
        wishes=wishes,
        member=member,
    )
    if not steps_in(body):
        check_request(change)
    else:  # The types of its values are not known yet: its source judges them.
        check_method(request.method, uri)
    await refuse_window(gateway, change)


async def refuse_window(gateway: Gateway, change: ChangeRequest) -> None:
    """Raise 400 for a step that is to wait for a maintenance window."""
    when = await apply_time_of(gateway, change)
    if when is not None and needs_window(when.value):
        raise refuse(
            "PropertyValueNotInList",
            when.value,
            OPERATION_APPLY_TIME,
            resolution="In a step, choose Immediate or OnReset.",
        )


def _requests(plan: Plan) -> Iterator[StepRequest]:
    """Yield the requests of all steps, undoing left out."""
    for step in steps_of(plan):
        yield step.request


def _secret_bodies(plan: Plan, inside: str = "") -> Iterable[tuple[str, JsonValue]]:
    """Yield the bodies that hold secrets, with the names of their steps; those of an
    operation that is itself a step stand behind its name and a colon.
    """
    for step in steps_of(plan):
        for name, request in ((step.name, step.request), (UNDO + step.name, step.undo)):
            if request is None:
                continue
            body = request.body
            if composite_at(request.uri) is not None:
                parameters = body if isinstance(body, dict) else {}
                _, inner = planned_at(request.uri, parameters)
                yield from _secret_bodies(inner, f"{inside}{name}:")
            elif masked(body) != body:
                yield f"{inside}{name}", body
