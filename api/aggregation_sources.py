"""/redfish/v1/AggregationService/AggregationSources: the sources themselves."""

from datetime import UTC, datetime, timedelta
from typing import TypeVar

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, JsonValue, ValidationError

from api.authentication import authenticated
from api.bodies import json_body
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.responses import resource_response
from api.task_service import accepted_task
from api.task_starter import Start
from taskfish.errors import RequestRefusedError, TransientError
from taskfish.redfish.operations import OperationName, new_task_id
from taskfish.redfish.requests import (
    NewSourceBody,
    SourceChange,
    SourceRemoval,
    messages_of,
)
from taskfish.redfish.resources import (
    AGGREGATION_SOURCES,
    CONNECTION_METHODS,
    AggregationSource,
    AggregationSourceLinks,
    Status,
    collection,
    link,
    links,
)
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.secrecy import masked
from taskfish.redfish.sources import (
    ConnectionMethod,
    Source,
    SourceOptions,
    source_id_from,
)
from taskfish.redfish.task import Answer
from taskfish.store.sources import SourceRecord
from workflows.add_aggregation_source import NewSource
from workflows.task import TaskMemo

Body = TypeVar("Body", bound=BaseModel)

router = APIRouter()
GET = ["GET", "HEAD"]
LONGEST_START = timedelta(seconds=30)
"""After which a task that was to add a source will not start any more."""
SOURCE_METHODS = (*GET, "PATCH", "DELETE")


@router.api_route(AGGREGATION_SOURCES, methods=GET)
async def aggregation_sources(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the sources that have been added."""
    uris = [source_uri(record.source.id) for record in await gateway.sources.ready()]
    kind = "AggregationSourceCollection"
    return resource_response(
        collection(AGGREGATION_SOURCES, kind, "Aggregation Sources", uris),
        (*GET, "POST"),
    )


@router.post(AGGREGATION_SOURCES)
@router.post(f"{AGGREGATION_SOURCES}/Members", include_in_schema=False)
async def add_source(
    body: dict[str, JsonValue] = Depends(json_body),
    owner: str = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Start a task that adds a source; the member appears only when it succeeds.

    202 always, whatever the source is like; 409 for one that is there already.
    """
    source = await _source_of(gateway, _checked(NewSourceBody, body))
    uri = source_uri(source.id)
    operation = OperationName(
        "AggregationSource.Create", "AggregationSource", source.id
    )
    task_id = new_task_id(operation)
    await _reserve(gateway, source, task_id)
    resource = source_resource(source)
    headers = {"Content-Type": "application/json", "Location": uri}
    settings = gateway.settings
    start = Start(
        task_id=task_id,
        operation=operation,
        source=source.id,
        owner=owner,
        input=NewSource(
            source=source.id,
            uri=uri,
            answer=Answer(status=201, headers=headers, body=resource.to_json()),
            deadline=settings.submit_deadline,
            heartbeat_timeout=settings.heartbeat_timeout,
        ),
        memo=TaskMemo(
            name=f"Add {source.id}",
            method="POST",
            uri=AGGREGATION_SOURCES,
            body=masked(body),
        ),
        summary=f"AggregationSource.Create → {source.id}",
    )
    await _start_or_forget(gateway, start)
    return await accepted_task(gateway, task_id)


@router.api_route(f"{AGGREGATION_SOURCES}/{{source_id}}", methods=GET)
async def aggregation_source(
    source_id: str, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return one source, without its password."""
    record = await _ready_source(gateway, source_id)
    members = await gateway.inventory.collection("Systems")
    accessed = [name for name in members if name.startswith(f"{source_id}.")]
    return resource_response(
        source_resource(record.source, record, accessed), SOURCE_METHODS
    )


@router.patch(f"{AGGREGATION_SOURCES}/{{source_id}}")
async def change_source(
    source_id: str,
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Change UserName, Password or Oem; takes effect at once."""
    record = await _ready_source(gateway, source_id)
    change = _checked(SourceChange, body)
    source = record.source
    options = await _options(gateway, change, source.options)
    given = change.model_fields_set
    if not given:
        return await aggregation_source(source_id, gateway)
    await gateway.sources.change(
        source_id,
        change.user_name if "user_name" in given else source.user_name,
        change.password if "password" in given else source.password,
        options,
    )
    return await aggregation_source(source_id, gateway)


@router.delete(f"{AGGREGATION_SOURCES}/{{source_id}}")
async def remove_source(
    source_id: str,
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Forget a source with its members; its watcher ends by itself.

    409 while tasks of it are open, unless the body says `Oem.Taskfish.Force`.
    """
    await _ready_source(gateway, source_id)
    removal = _checked(SourceRemoval, body)
    forced = removal.oem and removal.oem.taskfish and removal.oem.taskfish.force
    if not forced and await gateway.tasks.has_open_tasks(source_id):
        text = f"Tasks of {source_id} are still open."
        how = "Wait for their end, or send Oem.Taskfish.Force."
        raise refuse("ResourceInUse", text=text, resolution=how)
    if await gateway.sources.behind(source_id):
        text = f"Other sources are reached through {source_id}."
        raise refuse("ResourceInUse", text=text, resolution="Delete those first.")
    await gateway.sources.remove(source_id)
    return Response(status_code=204)


def source_uri(source_id: str) -> str:
    """Return the URI of an AggregationSource."""
    return f"{AGGREGATION_SOURCES}/{source_id}"


def source_resource(
    source: Source,
    record: SourceRecord | None = None,
    accessed: list[str] | None = None,
) -> AggregationSource:
    """Return the AggregationSource resource."""
    down = record is not None and (record.down_since or record.refused_at) is not None
    method = link(f"{CONNECTION_METHODS}/{source.method.value}")
    systems = (f"/redfish/v1/Systems/{name}" for name in accessed or ())
    return AggregationSource(
        odata_id=source_uri(source.id),
        odata_type=SCHEMA.odata_type("AggregationSource"),
        id=source.id,
        name=source.name or source.id,
        host_name=source.host_name,
        user_name=source.user_name,
        links=AggregationSourceLinks(
            connection_method=method, resources_accessed=links(systems)
        ),
        status=Status(health="Critical") if down else Status(),
    )


def _checked(model: type[Body], body: dict[str, JsonValue]) -> Body:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise RequestRefusedError(*messages_of(error)) from error


async def _source_of(gateway: Gateway, body: NewSourceBody) -> Source:
    """Return the source that a body asks for; raise 400 for dangling references."""
    reference = body.links.connection_method.odata_id
    collection_uri, _, method = reference.rpartition("/")
    if collection_uri != CONNECTION_METHODS or method not in list(ConnectionMethod):
        name = "Links/ConnectionMethod/@odata.id"
        raise refuse("PropertyValueNotInList", reference, name)
    options = await _options(gateway, body, SourceOptions())
    return Source(
        id=body.id or source_id_from(body.host_name),
        name=body.name,
        host_name=body.host_name,
        method=ConnectionMethod(method),
        user_name=body.user_name,
        password=body.password,
        options=options,
    )


async def _options(
    gateway: Gateway, change: SourceChange, before: SourceOptions
) -> SourceOptions:
    """Return the options with what Oem.Taskfish gives; null restores a default."""
    given = change.oem.taskfish if change.oem else None
    if given is None:
        return before
    defaults = SourceOptions().model_dump()
    values = {
        name: defaults[name] if value is None else value
        for name, value in given.model_dump(exclude_unset=True).items()
    }
    if given.plugin is not None:
        values["plugin"] = await _plugin_at(gateway, given.plugin.odata_id)
    return SourceOptions.model_validate({**before.model_dump(), **values})


async def _plugin_at(gateway: Gateway, uri: str) -> str:
    """Return the Id of the plugin's source at a URI; raise 400 if there is none."""
    collection_uri, _, source_id = uri.rpartition("/")
    record = await gateway.sources.get(source_id)
    if (
        collection_uri != AGGREGATION_SOURCES
        or record is None
        or record.state != "ready"
        or record.source.method is not ConnectionMethod.ODIM
        or record.source.options.plugin is not None
    ):
        raise refuse("PropertyValueNotInList", uri, "Oem/Taskfish/Plugin")
    return source_id


async def _reserve(gateway: Gateway, source: Source, task_id: str) -> None:
    """Keep the source as "adding", unless one is in its place: then 409.

    A place whose task ended without freeing it, or has not started for longer than
    any start takes, is taken over.
    """
    taken = await gateway.sources.add(source, task_id)
    if taken is None:
        return
    adding = taken.state == "adding"
    view = await gateway.tasks.read(taken.task_id) if adding else None
    late = datetime.now(UTC) - taken.created_at > LONGEST_START
    if adding and (late if view is None else view.state.ended):
        await gateway.sources.remove(taken.source.id, task_id=taken.task_id)
        taken = await gateway.sources.add(source, task_id)
    if taken is not None:
        same_id = taken.source.id == source.id
        name, value = ("Id", source.id) if same_id else ("HostName", source.host_name)
        raise refuse("ResourceAlreadyExists", "AggregationSource", name, value)


async def _start_or_forget(gateway: Gateway, start: Start) -> None:
    try:
        await gateway.starter.start(start)
    except TransientError:
        await gateway.sources.remove(start.source, task_id=start.task_id)
        raise


async def _ready_source(gateway: Gateway, source_id: str) -> SourceRecord:
    record = await gateway.sources.get(source_id)
    if record is None or record.state != "ready":
        raise refuse("ResourceMissingAtURI", source_uri(source_id))
    return record
