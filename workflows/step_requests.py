"""A step's request as it is sent: with the values of earlier answers in it."""

from collections.abc import Mapping

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import JsonValue

    from taskfish.redfish.conditions import Condition
    from taskfish.redfish.expressions import ExpressionError, filled, filled_text
    from taskfish.redfish.operations import composite_at
    from taskfish.redfish.privileges import PRIVILEGES
    from taskfish.redfish.resources import SIMPLE_UPDATE
    from taskfish.redfish.step_uris import uri_fault
    from taskfish.redfish.steps import StepRequest
    from workflows.composite import Composite
    from workflows.step_calls import StepPlace, place_of


def ready_request(
    composite: Composite, request: StepRequest, answers: Mapping[str, JsonValue]
) -> tuple[StepRequest, StepPlace]:
    """Return a request with its values, and where it takes place.

    Raises `ExpressionError` for a value that is not there, or is no URI of a machine,
    `PermissionError` for what the operation's owner may not do.
    """
    uri = filled_text(request.uri, answers)
    until = request.until
    if until is not None:
        until = Condition.model_validate(filled(until.model_dump(), answers))
    update = {"uri": uri, "body": filled(request.body, answers), "until": until}
    ready = request.model_copy(update=update)
    place = place_of(ready)
    is_operation = composite_at(uri) is not None
    if (is_operation or uri == SIMPLE_UPDATE) and uri != request.uri:
        # What is asked of those before they begin could not be asked of this one.
        raise ExpressionError(f"an answer may not choose {uri}")
    if is_operation:
        place = StepPlace("", None)
    if why := uri_fault(uri):
        raise ExpressionError(why)
    if place is None:
        raise ExpressionError(f"{uri} is the URI of no machine")
    needed = PRIVILEGES.needed(request.method, uri)
    if not needed & set(composite.privileges):
        raise PermissionError(
            f"{request.method} {uri} needs {' or '.join(sorted(needed))}"
        )
    return ready, place
