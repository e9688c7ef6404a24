"""What keeps a written plan from being carried out, beyond what each part is."""

from collections import Counter
from collections.abc import Iterator

from pydantic import JsonValue

from taskfish.redfish.expressions import expression_faults, steps_in, with_any
from taskfish.redfish.operations import composite_at, is_ours
from taskfish.redfish.resources import SIMPLE_UPDATE
from taskfish.redfish.secrecy import masked
from taskfish.redfish.step_uris import uri_fault
from taskfish.redfish.steps import UNDO, Plan, PlanError, Step, StepRequest, Together
from taskfish.redfish.written_plans import placed_steps

RUN_PLAN = "Taskfish.RunPlan"


def plan_faults(plan: Plan) -> list[PlanError]:
    """Return all of it, each fault with the way to its place: `Steps/3/Uri`."""
    placed = placed_steps(plan)
    faults = list(_number_faults(plan))
    counted = Counter(step.name for _, step in placed)
    earlier = _earlier(plan)
    for place, step in placed:
        faults += _name_faults(place, step, counted)
        faults += _step_faults(place, step)
        known = earlier[place]
        faults += _request_faults(place, step.request, known)
        if step.undo is not None:
            faults += _request_faults(f"{place}/Undo", step.undo, known | {step.name})
    return faults


def _number_faults(plan: Plan) -> Iterator[PlanError]:
    if not plan:
        yield PlanError("Steps", "a plan has one step at least")
    for index, part in enumerate(plan):
        if isinstance(part, Together) and not part.steps:
            yield PlanError(f"Steps/{index}/Together", "there is no step in it")


def _earlier(plan: Plan) -> dict[str, frozenset[str]]:
    """Return the names of the steps that have ended when one begins, by its place."""
    known, found = frozenset[str](), {}
    for number, part in enumerate(plan):
        placed = placed_steps((part,))
        for place, _ in placed:
            found[place.replace("Steps/0", f"Steps/{number}", 1)] = known
        known |= {step.name for _, step in placed}
    return found


def _name_faults(place: str, step: Step, counted: Counter[str]) -> Iterator[PlanError]:
    if step.name.startswith(UNDO):
        why = f"names that begin with {UNDO} are those of undoing steps"
        yield PlanError(f"{place}/Name", why)
    if counted[step.name] > 1:
        yield PlanError(f"{place}/Name", f"another step is {step.name} too")


def _step_faults(place: str, step: Step) -> Iterator[PlanError]:
    request = step.request
    if request.method == "GET":
        if request.body is not None:
            yield PlanError(f"{place}/Body", "a GET has none")
        if step.undo is not None:
            yield PlanError(f"{place}/Undo", "a GET changes nothing")
        wanted = request.until.value if request.until else None
        if masked(wanted) != wanted:
            why = "no step waits for a secret, or for a URI with a query or a password"
            yield PlanError(f"{place}/Until/Value", why)
    elif request.until is not None:
        yield PlanError(f"{place}/Until", "only a GET waits for something")


def _request_faults(
    place: str, request: StepRequest, known: frozenset[str]
) -> Iterator[PlanError]:
    """Yield what is wrong with a request, which may refer to the steps in `known`."""
    wanted = request.until.model_dump() if request.until else None
    parts: tuple[tuple[str, JsonValue], ...] = (
        ("Uri", request.uri),
        ("Body", request.body),
        ("Until/Value", wanted),
    )
    for name, value in parts:
        for why in expression_faults(value):
            yield PlanError(f"{place}/{name}", why)
        for step in sorted(steps_in(value) - known):
            why = f"no step before it is called {step}"
            yield PlanError(f"{place}/{name}", why)
    yield from _uri_faults(place, request)
    yield from _body_faults(place, request)


def _uri_faults(place: str, request: StepRequest) -> Iterator[PlanError]:
    """Yield what is wrong with a URI, as far as it is known yet."""
    uri, refers = with_any(request.uri), bool(steps_in(request.uri))
    if request.uri.startswith("${"):
        return
    if why := uri_fault(uri):
        yield PlanError(f"{place}/Uri", why)
        return
    composite = composite_at(request.uri)
    if composite is not None and composite.name == RUN_PLAN:
        yield PlanError(f"{place}/Uri", "a plan has no other plan in it")
    elif composite is not None and not is_ours(composite.name):
        yield PlanError(f"{place}/Uri", "a step is not for many machines at once")
    elif composite is not None and refers:
        why = "the URI of an operation of this service has no values of answers in it"
        yield PlanError(f"{place}/Uri", why)
    elif composite is not None and request.method != "POST":
        yield PlanError(f"{place}/Method", "an action takes a POST")


def _body_faults(place: str, request: StepRequest) -> Iterator[PlanError]:
    """Yield what a body may not have: a secret is sent as it was kept, and the machines
    of an update have to be known.
    """
    body = request.body
    is_expression = isinstance(body, str) and body.startswith("${")
    is_object = isinstance(body, dict | None) or is_expression
    if request.method != "GET" and not is_object:
        yield PlanError(f"{place}/Body", "it is no object")
    if steps_in(body) and masked(body) != body:
        why = "a body with a secret has no values of earlier answers in it"
        yield PlanError(f"{place}/Body", why)
    targets = body.get("Targets") if isinstance(body, dict) else None
    if request.uri == SIMPLE_UPDATE and steps_in(targets):
        why = "they have no values of earlier answers in them"
        yield PlanError(f"{place}/Body/Targets", why)
