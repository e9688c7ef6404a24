"""Systems, Chassis, Managers, the inventories and all below them: the sources' own.

Reads are handed on to the source. Every POST, PATCH, PUT and DELETE becomes a task;
what can be refused without asking the source is refused at once (contracts.md 3).
"""

from contextlib import suppress
from typing import cast

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.change_request import ChangeRequest
from api.changes import answer_change, check_method
from api.errors import refuse
from api.etags import if_match
from api.gateway import Gateway, gateway_of
from api.maintenance_window import offered_window
from api.oem_links import with_operations, with_tasks
from api.responses import resource_response, source_response
from api.task_request import TaskRequest
from taskfish.errors import StoreUnavailableError
from taskfish.plugins.protocol import ChangeMethod
from taskfish.redfish.apply_time_support import with_apply_times
from taskfish.redfish.inventory import COLLECTIONS, Member
from taskfish.redfish.links import ROOT
from taskfish.redfish.manager_resources import GATEWAY_MANAGER, MANAGERS
from taskfish.redfish.metadata import namespaces_in
from taskfish.redfish.resources import collection
from taskfish.redfish.schema import SCHEMA

router = APIRouter()
GET = ["GET", "HEAD"]
CHANGES = ["POST", "PATCH", "PUT", "DELETE"]
NOWHERE = ["OPTIONS", "TRACE"]
_MEMBERS = "/Members"


async def read_collection(
    request: Request, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return an aggregated collection, from the inventory alone."""
    uri = raw_path(request)
    name = uri.removeprefix(f"{ROOT}/")
    kind = SCHEMA.kind_at(uri)
    if kind is None:
        raise refuse("ResourceMissingAtURI", uri)
    members = await gateway.inventory.collection(name)
    title = name.rpartition("/")[2]
    uris = [f"{uri}/{member}" for member in members]
    if uri == MANAGERS:
        uris = [GATEWAY_MANAGER, *uris]
    return resource_response(collection(uri, kind.type, title, uris))


async def read_resource(
    request: Request, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return a source's resource under its northbound name."""
    uri = raw_path(request)
    member = await member_at(gateway, uri)
    check_method(request.method, uri)
    async with gateway.connections.open(member.source) as connection:
        answer = await connection.read(uri)
    if answer.succeeded:
        window = await offered_window(gateway)
        shown = with_apply_times(uri, answer.body, window)
        shown = with_tasks(uri, member, with_operations(uri, member, shown))
        answer = answer.model_copy(update={"body": shown})
        with suppress(StoreUnavailableError):
            await gateway.namespaces.note(namespaces_in(answer.body))
    response = source_response(answer, GET)
    allowed = SCHEMA.allowed_at(uri)
    if answer.succeeded and allowed is not None:
        # What a request is refused for, not what the source would refuse in the end.
        response.headers["Allow"] = ", ".join(allowed)
    return response


async def change_resource(asked: TaskRequest = Depends()) -> Response:
    """Start a change of a source's resource as a task, and answer it."""
    method, uri = asked.http.method, raw_path(asked.http)
    if method == "POST" and uri.endswith(_MEMBERS):
        uri = uri.removesuffix(_MEMBERS)
    member = await member_at(asked.gateway, uri)
    precondition = if_match(asked.http)
    change = ChangeRequest(
        method=cast(ChangeMethod, method),
        uri=uri,
        body=asked.body,
        source=member.source,
        owner=asked.user.name,
        wishes=asked.wishes,
        member=member,
        headers={"If-Match": precondition} if precondition else {},
    )
    return await answer_change(asked, change)


async def refuse_method(
    request: Request, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Raise 405 for a method that no resource of a source has."""
    uri = raw_path(request)
    await member_at(gateway, uri)
    allowed = SCHEMA.allowed_at(uri) or (*GET, *CHANGES)
    raise refuse("OperationNotAllowed", headers={"Allow": ", ".join(allowed)})


def raw_path(request: Request) -> str:
    """Return the path as it was sent: no encoded character changes its sense."""
    raw: bytes = request.scope["raw_path"]
    return raw.partition(b"?")[0].decode("ascii")


async def member_at(gateway: Gateway, uri: str) -> Member:
    """Return the member that a URI lies in; raise 404 for one that is not known."""
    for name in COLLECTIONS:
        prefix = f"{ROOT}/{name}/"
        if uri.startswith(prefix):
            member_name = uri.removeprefix(prefix).partition("/")[0]
            member = await _known_member(gateway, name, member_name)
            if member is not None:
                return member
    raise refuse("ResourceMissingAtURI", uri)


async def _known_member(
    gateway: Gateway, collection_name: str, name: str
) -> Member | None:
    """Look a member up; while the store is silent, trust the sources in use."""
    try:
        return await gateway.inventory.member(collection_name, name)
    except StoreUnavailableError:
        source, _, member_id = name.partition(".")
        if not (member_id and gateway.connections.has(source)):
            raise
        return Member(source=source, collection=collection_name, id=member_id)


for _name in COLLECTIONS:
    _uri = f"{ROOT}/{_name}"
    router.add_api_route(_uri, read_collection, methods=GET)
    router.add_api_route(f"{_uri}/{{path:path}}", read_resource, methods=GET)
    router.add_api_route(f"{_uri}/{{path:path}}", change_resource, methods=CHANGES)
    router.add_api_route(f"{_uri}/{{path:path}}", refuse_method, methods=NOWHERE)
