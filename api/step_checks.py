"""What refuses the steps of a multi-step operation before the first one begins.

Each is checked as if it had come as a request of its own: its privileges, its method,
its body, its machine (contracts.md 7). What comes from an earlier answer is not known
yet: the step itself is refused then, by the engine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

from api.aggregated import member_at
from api.apply_times import apply_time_of
from api.asked_operations import Asked, asked_at
from api.authentication import User
from api.change_request import ChangeRequest
from api.changes import check_method, check_request, known_source
from api.errors import refuse
from api.gateway import Gateway
from api.privileges import require_for
from api.request_headers import TaskWishes
from taskfish.errors import RequestRefusedError
from taskfish.plugins.protocol import ChangeMethod
from taskfish.redfish.apply_time import OPERATION_APPLY_TIME, needs_window
from taskfish.redfish.expressions import steps_in, with_any
from taskfish.redfish.inventory import Member
from taskfish.redfish.messages import Message, status_of
from taskfish.redfish.operations import composite_at
from taskfish.redfish.requests import MOST_FAULTS
from taskfish.redfish.resources import SIMPLE_UPDATE
from taskfish.redfish.step_uris import uri_fault
from taskfish.redfish.steps import Step, StepRequest

_OWN_STATUS = (403, 503)
"""Statuses that are the whole request's too if a step's request would get them."""


@dataclass(frozen=True)
class StepChecks:
    """Checks steps for the user who asks for them."""

    gateway: Gateway
    user: User
    wishes: TaskWishes

    async def touched(self, asked: Asked) -> list[Member]:
        """Return the members that the steps change.

        Raises what refuses the operation, with a message for each fault: 403 if a
        privilege is among what it lacks.
        """
        refusals = [RequestRefusedError(each) for each in asked.messages]
        touched: list[Member] = []
        for place, step in asked.placed:
            if asked.is_faulty(place):
                continue
            for where, request in _requests(place, step):
                try:
                    touched += await self._touched(request)
                except RequestRefusedError as refused:
                    refusals.append(_located(where, refused))
        if refusals:
            raise _together(refusals)
        return touched

    async def _touched(self, request: StepRequest) -> Sequence[Member]:
        uri = with_any(request.uri)
        if not uri.startswith("/"):
            return ()
        require_for(self.user, request.method, uri)
        if composite_at(uri) is not None:
            body = request.body if isinstance(request.body, dict) else {}
            return await self.touched(asked_at(uri, body))
        if why := uri_fault(uri):
            raise refuse("ResourceMissingAtURI", uri, text=f"{why}.")
        places = self._places(request)
        members = [await member_at(self.gateway, each) for each in places]
        for source in {member.source for member in members}:
            await known_source(self.gateway, source)
        if request.method == "GET":
            check_method("GET", uri)
            return ()
        await self._check_change(request, uri, members)
        return members

    def _places(self, request: StepRequest) -> Sequence[str]:
        """Return the URIs whose members a request touches: an update's Targets."""
        if request.uri != SIMPLE_UPDATE:
            return (with_any(request.uri),)
        body = request.body if isinstance(request.body, dict) else {}
        listed = body.get("Targets")
        targets = [str(each) for each in listed] if isinstance(listed, list) else []
        if not targets:
            action = "UpdateService.SimpleUpdate"
            raise refuse("ActionParameterMissing", action, "Targets")
        for target in targets:
            require_for(self.user, "POST", target)
        return targets

    async def _check_change(
        self, request: StepRequest, uri: str, members: Sequence[Member]
    ) -> None:
        """Raise what would refuse the change as a request of its own."""
        sources = {member.source for member in members}
        if len(sources) > 1:
            how = "Have one step for each source."
            raise refuse(
                "ActionParameterValueConflict", "Targets", "Targets", resolution=how
            )
        body = request.body if isinstance(request.body, dict) else {}
        change = ChangeRequest(
            method=cast(ChangeMethod, request.method),
            uri=uri,
            body=body,
            source=sources.pop(),
            owner=self.user.name,
            wishes=self.wishes,
            member=None if uri == SIMPLE_UPDATE else members[0],
            targets=tuple(members),
        )
        if not steps_in(body):
            check_request(change)
        else:  # The types of its values are not known yet: its source judges them.
            check_method(request.method, uri)
        await self._check_apply_time(change)

    async def _check_apply_time(self, change: ChangeRequest) -> None:
        when = await apply_time_of(self.gateway, change)
        if when is not None and needs_window(when.value):
            raise refuse(
                "PropertyValueNotInList",
                when.value,
                OPERATION_APPLY_TIME,
                resolution="In a step, choose Immediate or OnReset.",
            )


def _requests(place: str, step: Step) -> Iterator[tuple[str, StepRequest]]:
    yield place, step.request
    if step.undo is not None:
        yield f"{place}/Undo", step.undo


def _located(where: str, refused: RequestRefusedError) -> RequestRefusedError:
    """Return a refusal that says which step it is about."""

    def located(message: Message) -> Message:
        update = {"message": f"{where}: {message.message}", "related_properties": ()}
        return message.model_copy(update=update)

    messages = [located(each) for each in refused.messages]
    return RequestRefusedError(
        *messages, status=refused.status, headers=refused.headers
    )


def _together(refusals: Sequence[RequestRefusedError]) -> RequestRefusedError:
    """Return the refusal that has the messages of all, missing privileges first."""
    ordered = sorted(refusals, key=lambda each: _status(each) != 403)
    status = _status(ordered[0])
    is_own = status in _OWN_STATUS
    messages = (message for each in ordered for message in each.messages)
    return RequestRefusedError(
        *islice(messages, MOST_FAULTS),
        status=status if is_own else 400,
        headers=ordered[0].headers if is_own else None,
    )


def _status(refused: RequestRefusedError) -> int:
    return refused.status or status_of(refused.messages[0])
