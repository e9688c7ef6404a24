"""Query options of OData that a request comes with (DSP0266 7.3)."""

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request

from api.errors import refuse

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_TAKEN = "taken_query_options"


def takes_options(*names: str) -> Callable[[Endpoint], Endpoint]:
    """Let an endpoint be asked with these options; it answers for what they say."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _TAKEN, frozenset(names))
        return endpoint

    return mark


async def only_known_options(request: Request) -> None:
    """Raise 501 for an option that the endpoint does not take."""
    taken: frozenset[str]
    taken = getattr(request.scope.get("endpoint"), _TAKEN, frozenset())
    asked = {name for name in request.query_params if name.startswith("$")}
    if asked - taken:
        raise refuse("QueryNotSupported")
