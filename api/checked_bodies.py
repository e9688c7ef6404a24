"""From a body to its model, or the refusal that says what is wrong with it."""

from typing import TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from api.errors import refuse
from taskfish.errors import RequestRefusedError
from taskfish.redfish.requests import messages_of

Body = TypeVar("Body", bound=BaseModel)


def checked(
    model: type[Body], body: dict[str, JsonValue], read_only: frozenset[str]
) -> Body:
    """Return the model of a body; raise 400 with a message for each fault.

    `read_only` names what the resource has and the model does not take.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        messages = messages_of(error, read_only=read_only)
        raise RequestRefusedError(*messages) from error


def checked_change(
    model: type[Body], body: dict[str, JsonValue], read_only: frozenset[str]
) -> Body:
    """Return the model of a PATCH; raise 400 too if there is nothing to change."""
    properties = {name: body[name] for name in changed_names(body)}
    if not properties:
        raise refuse("NoOperation")
    return checked(model, properties, read_only)


def checked_action(model: type[Body], body: dict[str, JsonValue], action: str) -> Body:
    """Return the model of an action's parameters; raise 400 with a message for each
    fault.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise RequestRefusedError(*messages_of(error, action)) from error


def changed_names(body: dict[str, JsonValue]) -> list[str]:
    """Return the properties of a PATCH, without annotations: those are ignored."""
    return [name for name in body if not name.startswith("@odata.")]
