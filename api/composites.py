"""From a request for a multi-step operation to its one task, or a refusal.

All of its steps are checked before the first one begins, each as if it had come as a
request of its own: its privileges, its method, its body, its machine (contracts.md 7).
"""

from collections.abc import Iterable, Iterator

from fastapi.responses import Response
from pydantic import JsonValue

from api.asked_operations import asked_at
from api.change_request import ChangeRequest
from api.conflicts import leave_turn, take_turn
from api.inline_answer import answer_with_task
from api.starting import Claim, digest_of
from api.step_checks import StepChecks
from api.task_request import TaskRequest
from api.task_starter import Start
from taskfish.redfish.inventory import Member
from taskfish.redfish.operations import composite_at, new_task_id
from taskfish.redfish.privileges import CONFIGURE_SELF
from taskfish.redfish.secrecy import masked
from taskfish.redfish.steps import UNDO, Plan, StepRequest, steps_of
from workflows.composite import Composite
from workflows.shown_plan import planned
from workflows.step_calls import place_of
from workflows.task import TaskMemo
from workflows.time_limits import TimeLimits


async def answer_composite(asked: TaskRequest, uri: str) -> Response:
    """Start the operation that a POST to the action `uri` asks for, and answer as it
    ends, or 202 if that takes longer.
    """
    return await answer_with_task(asked, NewComposite(asked, uri))


class NewComposite:
    """The task that a request for a multi-step operation becomes."""

    always_starts = False

    def __init__(self, asked: TaskRequest, uri: str) -> None:
        self.owner = asked.user.name
        self.wishes = asked.wishes
        self.digest = digest_of("POST", uri, asked.body, {}, asked.wishes)
        self._gateway = asked.gateway
        self._user = asked.user
        self._uri = uri
        self._body = asked.body
        self._operation = asked_at(uri, asked.body)
        self._name, self._plan = self._operation.name, self._operation.plan
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
        """Raise what refuses the operation, with all that is wrong with its steps."""
        checks = StepChecks(self._gateway, self._user, self.wishes)
        members = await checks.touched(self._operation)
        self._members = tuple({each.uri: each for each in members}.values())

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
                # What a step finds out later may not be taken for the user's own.
                privileges=tuple(sorted(self._user.privileges - {CONFIGURE_SELF})),
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
            source="",  # Its turn is on the machines that it changes, if any.
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
                inner = asked_at(request.uri, parameters).plan
                yield from _secret_bodies(inner, f"{inside}{name}:")
            elif masked(body) != body:
                yield f"{inside}{name}", body
