"""The query of a request: whole numbers, lists of fields, and nothing unknown."""

import re
from collections.abc import Collection

from fastapi import Request

from api.errors import refuse
from taskfish.errors import RequestRefusedError

MOST_NODES = 1000
"""How many nodes one answer has at most, and unless fewer are asked for."""
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def check_query(request: Request, *known: str) -> None:
    """Raise 400 for a parameter that the resource does not take."""
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        raise bad_request(f"Unexpected arguments: {', '.join(unknown)[:255]}")


def fields_of(request: Request, known: Collection[str]) -> frozenset[str] | None:
    """Return the fields that are asked for, None for all; raise 400 for others."""
    given = request.query_params.getlist("fields")
    if not given:
        return None
    asked = [name for each in given for name in each.split(",")]
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise bad_request(f'Field(s) "{", ".join(unknown)[:255]}" are not valid.')
    return frozenset(asked)


def limit_of(request: Request) -> int:
    """Return how many nodes an answer may have; raise 400 for no positive number."""
    given = request.query_params.get("limit")
    if given is None:
        return MOST_NODES
    if not _NUMBER.fullmatch(given):
        raise bad_request("Limit must be positive")
    return min(int(given), MOST_NODES)


def bad_request(text: str) -> RequestRefusedError:
    """Return a 400 in words that Ironic has for it."""
    return refuse("UnrecognizedRequestBody", text=text)
