"""What a resource shows of a change whose answer was lost (D4).

Before a change leaves, a snapshot is taken of what will tell afterwards whether it was
carried out; a look then compares. Where nothing can be told, nothing is claimed.
"""

from datetime import UTC, datetime

from pydantic import JsonValue

from taskfish.errors import PermanentError
from taskfish.plugins.connection import Connection
from taskfish.plugins.protocol import Answered, Change
from taskfish.redfish.messages import base_message, success_body
from taskfish.redfish.operations import RESET_ACTION, owner_of_action
from taskfish.redfish.task import Answer

_RESET_SHOWS = ("PowerState", "LastResetTime")
_IDENTITY = ("UUID", "Identifiers", "SerialNumber")
_POWER_STATE_OF = {
    "On": "On",
    "ForceOn": "On",
    "ForceOff": "Off",
    "GracefulShutdown": "Off",
}

Snapshot = dict[str, JsonValue]
RESETS, SEEN_AT = "Resets", "SeenAt"
"""What a reset's snapshot has besides: the system's URI, and when it was looked at."""


async def snapshot(connection: Connection, change: Change) -> Snapshot | None:
    """Return what to compare with later, None if nothing would tell.

    A reset: PowerState and LastResetTime, but nothing of an Nmi. A creation: the
    members. A deletion: the identity. Raises what is worth waiting for; what cannot be
    read tells nothing.
    """
    try:
        return await _snapshot(connection, change)
    except PermanentError:
        return None


async def _snapshot(connection: Connection, change: Change) -> Snapshot | None:
    if _shows_as_reset(change):
        return await _before_reset(connection, owner_of_action(change.uri))
    if change.method == "DELETE":
        return _part(await connection.read(change.uri), _IDENTITY)
    if change.method == "POST" and "/Actions/" not in change.uri:
        members = _members(await connection.read(change.uri))
        return None if members is None else {"Members": list(members)}
    return None


async def _before_reset(connection: Connection, system: str) -> Snapshot:
    seen_at = datetime.now(UTC).isoformat()
    shown = _part(await connection.read(system), _RESET_SHOWS)
    return {RESETS: system, SEEN_AT: seen_at, **shown}


def without_marks(before: Snapshot) -> Snapshot:
    """Return a reset's snapshot of a system that another reset is about to change:
    what it shows tells nothing.
    """
    return {name: before[name] for name in before if name not in _RESET_SHOWS}


def can_tell(change: Change) -> bool:
    """Say whether the resource may show what became of the change."""
    is_action = "/Actions/" in change.uri
    return not is_action or _shows_as_reset(change)


async def find_result(
    connection: Connection, change: Change, before: JsonValue
) -> Answered | None:
    """Return the answer that a change seen to be carried out would have had."""
    seen = before if isinstance(before, dict) else {}
    if change.method in ("PATCH", "PUT"):
        return await _changed_setting(connection, change)
    if change.method == "DELETE":
        return await _deleted(connection, change)
    if _shows_as_reset(change):
        return await _reset(connection, change, seen)
    if "/Actions/" not in change.uri:
        return await _created(connection, change, seen)
    return None


async def is_unchanged(
    connection: Connection, change: Change, before: JsonValue
) -> bool:
    """Say whether PATCH, PUT or DELETE may be repeated: the same object is there.

    An object without an identity cannot be told from one that has taken its place, so
    its deletion is not repeated.
    """
    if change.method == "POST":
        return False
    answer = await connection.read(change.uri)
    if not answer.succeeded:
        return False
    if change.method in ("PATCH", "PUT"):
        return True
    return bool(before) and _part(answer, _IDENTITY) == before


def is_reset(change: Change) -> bool:
    """Say whether the change is a ComputerSystem.Reset."""
    return change.method == "POST" and change.uri.endswith(f"/Actions/{RESET_ACTION}")


def _shows_as_reset(change: Change) -> bool:
    """Say whether the system shows the reset: after an Nmi it goes on as it was, and
    whatever changes its LastResetTime then is another reset.
    """
    body = change.body if isinstance(change.body, dict) else {}
    return is_reset(change) and body.get("ResetType") != "Nmi"


async def _changed_setting(connection: Connection, change: Change) -> Answered | None:
    answer = await connection.read(change.uri)
    if answer.succeeded and _shows(answer.body, change.body):
        return Answered(answer=answer)
    return None


async def _deleted(connection: Connection, change: Change) -> Answered | None:
    answer = await connection.read(change.uri)
    return Answered(answer=Answer(status=204)) if answer.status == 404 else None


async def _reset(
    connection: Connection, change: Change, before: Snapshot
) -> Answered | None:
    answer = await connection.read(owner_of_action(change.uri))
    now = _part(answer, _RESET_SHOWS)
    wanted = change.body.get("ResetType") if isinstance(change.body, dict) else None
    power_state = _POWER_STATE_OF.get(str(wanted))
    was_reset = (
        "LastResetTime" in before
        and now.get("LastResetTime") != before["LastResetTime"]
    )
    reached = (
        "PowerState" in before
        and power_state is not None
        and (before["PowerState"] != power_state == now.get("PowerState"))
    )
    if reached or (was_reset and power_state is None):
        return Answered(answer=_success())
    return None


async def _created(
    connection: Connection, change: Change, before: Snapshot
) -> Answered | None:
    """Find the one new member that has what the body asks for.

    A body without plain values fits any member, so it tells nothing.
    """
    known = before.get("Members")
    wanted = _plain_values(change.body)
    members = _members(await connection.read(change.uri))
    if not isinstance(known, list) or not wanted or members is None:
        return None
    found: list[tuple[str, Answer]] = []
    for uri in members:
        if uri not in known:
            answer = await connection.read(uri)
            if answer.succeeded and _shows(answer.body, wanted):
                found.append((uri, answer))
    if len(found) != 1:
        return None
    uri, answer = found[0]
    headers = {**answer.headers, "Location": uri}
    return Answered(answer=Answer(status=201, headers=headers, body=answer.body))


def _part(answer: Answer, names: tuple[str, ...]) -> Snapshot:
    body = answer.body if answer.succeeded else None
    if not isinstance(body, dict):
        return {}
    return {name: body[name] for name in names if body.get(name)}


def _members(answer: Answer) -> tuple[str, ...] | None:
    """Return a collection's members; None if this is not all of them."""
    body = answer.body if answer.succeeded else None
    if not isinstance(body, dict) or "Members@odata.nextLink" in body:
        return None
    members = body.get("Members")
    return tuple(
        str(member["@odata.id"])
        for member in (members if isinstance(members, list) else [])
        if isinstance(member, dict) and "@odata.id" in member
    )


def _plain_values(body: JsonValue) -> JsonValue:
    """Return what a new member will show as it was sent: no links, no annotations."""
    if not isinstance(body, dict):
        return {}
    return {
        name: value
        for name, value in body.items()
        if not name.startswith("@") and not isinstance(value, dict | list)
    }


def _shows(resource: JsonValue, wanted: JsonValue) -> bool:
    """Say whether every value of `wanted` stands in the resource."""
    if isinstance(wanted, dict):
        return isinstance(resource, dict) and all(
            _shows(resource.get(name), value)
            for name, value in wanted.items()
            if not name.startswith("@")
        )
    return resource == wanted


def _success() -> Answer:
    message = base_message(
        "Success", text="The machine shows that the operation was carried out."
    )
    return Answer(
        status=200,
        headers={"Content-Type": "application/json"},
        body=success_body(message),
    )
