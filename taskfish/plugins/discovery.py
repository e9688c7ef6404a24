"""What a source has: its identity and the members of its collections."""

import asyncio
import re
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

from taskfish.errors import PrivilegeMissingError, SourceUnreachableError
from taskfish.plugins.protocol import Identity, Plugin
from taskfish.redfish.inventory import COLLECTIONS, Member
from taskfish.redfish.links import ROOT

Found = TypeVar("Found")

MAX_PAGES = 100
_ADDRESSABLE = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~%!$&'()*+,;=:@-]{1,160}")
_NEEDED = frozenset(f"{ROOT}/{name}" for name in ("Systems", "Chassis", "Managers"))
DETAILED = frozenset({"Systems", "Chassis", "Managers"})
"""The collections of which each member is read, for its UUID and its actions."""


class Discovery(BaseModel):
    """All that the inventory keeps of a source."""

    model_config = ConfigDict(frozen=True)

    identity: Identity
    members: tuple[Member, ...]


async def discover(plugin: Plugin, source_id: str) -> Discovery:
    """Prove the credentials and read the collections; raise what `Plugin` raises."""
    identity = await plugin.identify()
    if not identity.aggregates:
        return Discovery(identity=identity, members=())
    found = await _together(
        _collection(plugin, source_id, name) for name in COLLECTIONS
    )
    return Discovery(
        identity=identity, members=tuple(member for part in found for member in part)
    )


async def _together(calls: Iterable[Coroutine[Any, Any, Found]]) -> list[Found]:
    """Await all; the first error ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _collection(plugin: Plugin, source_id: str, name: str) -> list[Member]:
    uris = await _member_uris(plugin, f"{ROOT}/{name}")
    if name in DETAILED:
        return await _together(_detailed(plugin, source_id, name, uri) for uri in uris)
    return [
        Member(source=source_id, collection=name, id=_last_segment(uri)) for uri in uris
    ]


async def _member_uris(plugin: Plugin, collection: str) -> list[str]:
    """Return the members' URIs, page by page; none where there is no collection."""
    uris: list[str] = []
    page: str | None = collection
    for _ in range(MAX_PAGES):
        if page is None:
            break
        body = await _object(plugin, page, has_to_be=collection in _NEEDED)
        uris += [uri for uri in _links(body.get("Members")) if uri not in uris]
        following = body.get("Members@odata.nextLink")
        page = following if isinstance(following, str) else None
    return [uri for uri in uris if _is_member(uri, collection)]


async def _detailed(plugin: Plugin, source_id: str, name: str, uri: str) -> Member:
    body = await _object(plugin, uri)
    uuid, power_state = body.get("UUID"), body.get("PowerState")
    return Member(
        source=source_id,
        collection=name,
        id=_last_segment(uri),
        uuid=uuid if isinstance(uuid, str) else None,
        power_state=power_state if isinstance(power_state, str) else None,
        allowable_values=await _allowable_values(plugin, body.get("Actions")),
    )


async def _allowable_values(
    plugin: Plugin, actions: JsonValue
) -> dict[str, dict[str, list[str]]]:
    """Return action → parameter → allowable values, of every action there is."""
    values: dict[str, dict[str, list[str]]] = {}
    if not isinstance(actions, dict):
        return values
    for key, action in actions.items():
        if not key.startswith("#") or not isinstance(action, dict):
            continue
        known = _annotated(action)
        info = action.get("@Redfish.ActionInfo")
        if isinstance(info, str) and not known:
            known = _from_action_info(await _object(plugin, info))
        values[key.removeprefix("#")] = known
    return values


def _annotated(action: dict[str, JsonValue]) -> dict[str, list[str]]:
    suffix = "@Redfish.AllowableValues"
    return {
        name.removesuffix(suffix): _strings(allowed)
        for name, allowed in action.items()
        if name.endswith(suffix)
    }


def _from_action_info(info: dict[str, JsonValue]) -> dict[str, list[str]]:
    parameters = info.get("Parameters")
    known: dict[str, list[str]] = {}
    for parameter in parameters if isinstance(parameters, list) else []:
        if isinstance(parameter, dict) and "AllowableValues" in parameter:
            known[str(parameter.get("Name"))] = _strings(parameter["AllowableValues"])
    return known


def _strings(value: JsonValue) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _links(members: JsonValue) -> list[str]:
    return [
        str(member["@odata.id"]).rstrip("/")
        for member in (members if isinstance(members, list) else [])
        if isinstance(member, dict) and "@odata.id" in member
    ]


async def _object(
    plugin: Plugin, uri: str, *, has_to_be: bool = False
) -> dict[str, JsonValue]:
    """Return a resource's body; empty for what is not there or not for our account.

    A server error where something `has_to_be` must not look like nothing.
    """
    try:
        answer = await plugin.read(uri)
    except PrivilegeMissingError:
        return {}
    if has_to_be and answer.status >= 500:
        raise SourceUnreachableError(f"{uri} cannot be read (HTTP {answer.status})")
    return answer.body if answer.succeeded and isinstance(answer.body, dict) else {}


def _is_member(uri: str, collection: str) -> bool:
    """Say whether a URI is that of a member which the gateway can address."""
    place, _, name = uri.rpartition("/")
    return place == collection and _ADDRESSABLE.fullmatch(name) is not None


def _last_segment(uri: str) -> str:
    return uri.rpartition("/")[2]
