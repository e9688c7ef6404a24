"""How much of a collection a request wants: $top, $skip, $expand, $select, only.

DSP0266 7.3: `$expand` of whole members, `$select` of their properties, `only` for the
one member that there is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import Request
from pydantic import JsonValue

from api.errors import refuse
from api.task_conditions import bad_value

EXPAND, SELECT, TOP, SKIP, SKIP_TOKEN, ONLY = (
    "$expand",
    "$select",
    "$top",
    "$skip",
    "$skiptoken",
    "only",
)
_WHOLE_MEMBERS = re.compile(r"[.*](\(\$levels=[1-9][0-9]?\))?")
_NUMBER = re.compile(r"[0-9]{1,9}")
_PATH = re.compile(r"[A-Za-z@#.]\w*(?:[./@#]\w+)*")
_ALWAYS = ("@odata.id", "@odata.type", "@odata.etag", "@odata.context")
"""What `$select` never leaves out (DSP0266 7.3.3)."""


@dataclass(frozen=True)
class ListOptions:
    """The options of one request. `top` is None without one; `select` is empty for
    everything.
    """

    expand: bool = False
    top: int | None = None
    skip: int = 0
    skip_token: str | None = None
    select: tuple[str, ...] = ()
    only: bool = False


def list_options(request: Request) -> ListOptions:
    """Return the options of a request; raise 400 for a value that none can have."""
    only = _value(request, ONLY)
    expand = _value(request, EXPAND)
    if only:
        raise bad_value(ONLY, only, "Write `only` without a value.")
    if expand is not None and not _WHOLE_MEMBERS.fullmatch(expand):
        raise bad_value(EXPAND, expand, "Write . or *: members are expanded whole.")
    if only is not None and expand is not None:
        raise refuse("QueryCombinationInvalid")
    return ListOptions(
        expand=expand is not None,
        top=_number(request, TOP),
        skip=_number(request, SKIP) or 0,
        skip_token=_value(request, SKIP_TOKEN),
        select=_selected(request),
        only=only is not None,
    )


def next_link(request: Request, token: str, top: int | None) -> str:
    """Return the URI of the next page: the same request behind the token."""
    params = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in (SKIP, SKIP_TOKEN, TOP)
    ]
    params += [(TOP, str(top))] if top is not None else []
    params.append((SKIP_TOKEN, token))
    return f"{request.scope['path']}?{urlencode(params, safe='$.*()=/')}"


def selected(
    body: Mapping[str, JsonValue], paths: Sequence[str]
) -> dict[str, JsonValue]:
    """Return the selected properties of a resource; all, if none are named.

    `A/B` is B of the object A. What it does not have is left out.
    """
    if not paths:
        return dict(body)
    below: dict[str, list[str]] = {}
    for path in paths:
        name, _, rest = path.partition("/")
        below.setdefault(name, []).append(rest)
    found: dict[str, JsonValue] = {name: body[name] for name in _ALWAYS if name in body}
    for name, rests in below.items():
        value = body.get(name)
        if name not in body:
            continue
        if isinstance(value, dict) and "" not in rests:
            value = selected(value, rests)
        found[name] = value
    return found


def _value(request: Request, name: str) -> str | None:
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise refuse("QueryCombinationInvalid")
    return values[0] if values else None


def _number(request: Request, name: str) -> int | None:
    value = _value(request, name)
    if value is None:
        return None
    if not _NUMBER.fullmatch(value):
        raise bad_value(name, value, "Write a whole number that is not negative.")
    return int(value)


def _selected(request: Request) -> tuple[str, ...]:
    value = _value(request, SELECT)
    if value is None:
        return ()
    names = tuple(name.strip() for name in value.split(","))
    if not all(_PATH.fullmatch(name) for name in names):
        how = "Write names of properties with commas between, as Name,TaskState."
        raise bad_value(SELECT, value, how)
    return names
