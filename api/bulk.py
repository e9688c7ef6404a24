"""From a request for many machines at once to its one task, or a refusal (issue 7)."""

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from fastapi.responses import Response
from pydantic import JsonValue

from api.change_request import ChangeRequest
from api.conflicts import leave_turn, take_turn
from api.inline_answer import answer_with_task
from api.privileges import require_for
from api.request_headers import ConflictWish
from api.starting import Claim, digest_of
from api.task_request import TaskRequest
from api.task_starter import Start
from taskfish.errors import RequestRefusedError
from taskfish.redfish.bulk import Bulk, planned_bulk, step_names
from taskfish.redfish.inventory import Member
from taskfish.redfish.links import ROOT
from taskfish.redfish.messages import Message, base_message
from taskfish.redfish.operations import OperationName, new_task_id
from taskfish.redfish.requests import shown_value
from taskfish.redfish.secrecy import masked
from taskfish.redfish.step_plan import PlanMemo, RefusedSteps
from workflows.composite import Composite
from workflows.task import TaskMemo
from workflows.time_limits import TimeLimits

RESETS = {
    "Systems": "ComputerSystem.Reset",
    "Chassis": "Chassis.Reset",
    "Managers": "Manager.Reset",
}
"""Collection → the action that resets a member."""
BOOT_ORDER = {"Systems": "ComputerSystem.SetDefaultBootOrder"}
MOST_NAMED = 10
"""How many of the machines at fault a refusal names."""
_MACHINE = re.compile(rf"{ROOT}/(?P<collection>[A-Z][a-z]+)/[^/?#\s]+")


@dataclass(frozen=True)
class BulkPlan:
    """What a request comes to: its steps, and the members that they touch."""

    bulk: Bulk
    memo: PlanMemo
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Batches:
    """How many steps begin together (0: all), and the seconds between two batches."""

    size: int = 0
    delay: float = 0


@dataclass(frozen=True)
class BulkRequest:
    """What a request is for. `plan` reads what it comes to, or raises what refuses it;
    `workflow_type` is the operation's name if not given.
    """

    operation: OperationName
    uri: str
    plan: Callable[[], Awaitable[BulkPlan]]
    workflow_type: str = ""
    batches: Batches = field(default=Batches())


async def answer_bulk(asked: TaskRequest, bulk: BulkRequest) -> Response:
    """Start the operation, and answer as it ends, or 202 if that takes longer."""
    return await answer_with_task(asked, _NewBulk(asked, bulk))


class _NewBulk:
    """The task that a request for many machines becomes."""

    always_starts = False

    def __init__(self, asked: TaskRequest, request: BulkRequest) -> None:
        self.owner = asked.user.name
        self.wishes = asked.wishes
        self.digest = digest_of("POST", request.uri, asked.body, {}, asked.wishes)
        self._gateway = asked.gateway
        self._user = asked.user
        self._body = asked.body
        self._request = request
        self._plan: BulkPlan | None = None
        self._secret: str | None = None

    @property
    def source_id(self) -> str:
        """The one source that it is about; empty if there are several."""
        sources = {member.source for member in self._planned.members}
        return sources.pop() if len(sources) == 1 else ""

    def new_id(self) -> str:
        """Return an Id that people can read."""
        return new_task_id(self._request.operation)

    async def check(self) -> None:
        """Raise what refuses the whole operation, before the first step begins."""
        self._plan = await self._request.plan()

    async def prepare(self, claim: Claim) -> Start:
        """Take its turn on all machines, and keep what is secret in its body."""
        request, plan = self._request, self._planned
        turn, _ = await take_turn(
            self._gateway, self._change, self._wish, claim.task_id, claim.token
        )
        shown = masked(self._body)
        if shown != self._body:
            secret_bodies = self._gateway.secret_bodies
            self._secret = await secret_bodies.keep(self._body, claim.task_id)
        name = request.operation
        workflow_type = request.workflow_type or name.name
        return Start(
            task_id=claim.task_id,
            operation=name,
            workflow_type=workflow_type,
            source=self.source_id,
            owner=self.owner,
            input=Composite(
                operation=workflow_type,
                uri=request.uri,
                token=claim.token,
                privileges=tuple(sorted(self._user.privileges)),
                shared_secret=self._secret,
                limits=TimeLimits.model_validate(self._gateway.settings),
                deadline=self.wishes.timeout,
                turn=turn,
                bulk=self._bulk,
            ),
            memo=self._memo(claim, shown),
            summary=f"{name.name} → {plan.bulk.total} steps",
            request_id=self.wishes.request_id,
            tags=self.wishes.tags,
            machines=tuple(member.uri for member in plan.members),
            plan=plan.memo,
        )

    async def abandon(self, claim: Claim) -> None:
        """Give the turn up and forget the secrets."""
        if not claim.shared:
            await leave_turn(self._gateway, claim.token)
        if self._secret is not None:
            await self._gateway.secret_bodies.forget(self._secret)

    @property
    def _planned(self) -> BulkPlan:
        assert self._plan is not None, "it is checked before it is prepared"
        return self._plan

    @property
    def _bulk(self) -> Bulk:
        settings, batches = self._gateway.settings, self._request.batches
        return self._planned.bulk.model_copy(
            update={
                "batch_size": batches.size,
                "delay": batches.delay,
                "at_once": settings.bulk_at_once,
                "most_a_run": settings.bulk_steps_a_run,
            }
        )

    @property
    def _change(self) -> ChangeRequest:
        """What the operation is to others on its machines."""
        return ChangeRequest(
            method="POST",
            uri=self._request.uri,
            body=self._body,
            source=self.source_id,
            owner=self.owner,
            wishes=self.wishes,
            targets=self._planned.members,
        )

    @property
    def _wish(self) -> ConflictWish:
        """What is to happen on machines that are changed: ForceOff always passes."""
        if self._body.get("ResetType") == "ForceOff":
            return "allow"
        return self.wishes.conflict or self._gateway.settings.conflict

    def _memo(self, claim: Claim, shown: JsonValue) -> TaskMemo:
        name = self._request.operation
        return TaskMemo(
            token=claim.token,
            chosen=claim.chosen,
            deadline=self.wishes.timeout,
            name=f"{name.name} {name.target}",
            method="POST",
            uri=self._request.uri,
            body=shown,
        )


async def plan_of_machines(
    asked: TaskRequest,
    uris: Iterable[str],
    actions: dict[str, str],
    body: dict[str, JsonValue],
    *,
    parameter: str = "",
    action: str = "",
) -> BulkPlan:
    """Return the steps that send an action with `body` to each machine.

    A machine that is named twice is one. One that has not the action, or allows other
    values, has a step that never begins. So has one that is not known, unless it comes
    from the `parameter` of an `action`: then it is refused, as is what is no machine of
    the collections in `actions` (collection → action). Raises 403 for a machine that
    the user may not change so.
    """
    machines = list(dict.fromkeys(uris))
    wrong = [uri for uri in machines if collection_of(uri) not in actions]
    if wrong and parameter:
        raise refused_machines(wrong, parameter, action, actions)
    requests = {
        uri: f"{uri}/Actions/{actions[collection_of(uri)]}"
        for uri in machines
        if uri not in wrong
    }
    for request in requests.values():
        require_for(asked.user, "POST", request)
    members = await asked.gateway.inventory.at(requests)
    unknown = [uri for uri in requests if uri not in members]
    if unknown and parameter:
        raise unknown_machines(unknown)
    faults = {uri: "its resource has no such action" for uri in wrong}
    faults |= {uri: "it is not in the inventory any more" for uri in unknown}
    for uri, member in members.items():
        if fault := _fault(member, actions[member.collection], body):
            faults[uri] = fault
    return _planned(machines, requests, members, faults, body)


def _planned(
    machines: Sequence[str],
    requests: dict[str, str],
    members: dict[str, Member],
    faults: dict[str, str],
    body: dict[str, JsonValue],
) -> BulkPlan:
    """Put the plan together; raise 400 if no step could ever begin."""
    names = dict(
        zip(
            machines,
            step_names([uri.rpartition("/")[2] for uri in machines]),
            strict=True,
        )
    )
    good = [uri for uri in machines if uri not in faults]
    if not good:
        raise RequestRefusedError(*_told(faults))
    reasons: dict[str, list[str]] = defaultdict(list)
    for uri, why in faults.items():
        reasons[why].append(uri)
    bulk = Bulk(
        names=tuple(names[uri] for uri in good),
        uris=tuple(requests[uri] for uri in good),
        body=body or None,
        refused=tuple(
            RefusedSteps(why=why, names=tuple(names[uri] for uri in its))
            for why, its in reasons.items()
        ),
    )
    never = [requests.get(uri, uri) for its in reasons.values() for uri in its]
    touched = tuple(members[uri] for uri in good)
    return BulkPlan(bulk=bulk, memo=planned_bulk(bulk, never), members=touched)


def _fault(member: Member, action: str, body: dict[str, JsonValue]) -> str:
    """Return why a machine cannot take an action; empty if it can, or nobody knows."""
    if not member.allowable_values:
        return ""
    if action not in member.allowable_values:
        return f"it has no action {action}"
    for name, allowed in member.allowable_values[action].items():
        value = body.get(name)
        if value is not None and value not in allowed:
            shown = shown_value(name, value)
            return f"it does not take {shown} as {name}, only {', '.join(allowed)}"
    return ""


def collection_of(uri: str) -> str:
    """Return the collection that a machine's URI is in, empty if it is none's."""
    match = _MACHINE.fullmatch(uri)
    return match["collection"] if match else ""


def refused_machines(
    uris: Sequence[str], parameter: str, action: str, collections: Collection[str]
) -> RequestRefusedError:
    """Return the 400 for what is no machine of these collections."""
    words = ", ".join(collections)
    return RequestRefusedError(
        *(
            base_message(
                "ActionParameterValueNotInList",
                uri[:200],
                parameter,
                action,
                resolution=f"Name members of {words} only.",
            )
            for uri in uris[:MOST_NAMED]
        )
    )


def unknown_machines(uris: Sequence[str]) -> RequestRefusedError:
    """Return the 400 for machines that the inventory does not have."""
    text = f"{len(uris)} of the machines are unknown." if len(uris) > 1 else None
    messages = [base_message("ResourceMissingAtURI", uri) for uri in uris[:MOST_NAMED]]
    if text is not None:
        messages.append(base_message("OperationFailed", text=text))
    return RequestRefusedError(*messages, status=400)


def _told(faults: dict[str, str]) -> list[Message]:
    """Say of the first machines why they cannot take it."""
    return [
        base_message(
            "ActionNotSupported",
            uri,
            text=f"Nothing can be sent to {uri}: {why}.",
            resolution="Name machines that take this request.",
        )
        for uri, why in list(faults.items())[:MOST_NAMED]
    ]
