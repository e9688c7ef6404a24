"""/redfish/v1/AggregationService/AggregationSources: the sources themselves."""

import logging

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from activities.open_places import OpenPlaces
from api.bodies import json_body
from api.checked_bodies import checked, checked_change
from api.errors import refuse
from api.etags import check_if_match, etag_of, versioned_response, wanted_etags
from api.gateway import Gateway, gateway_of
from api.inline_answer import answer_with_task
from api.responses import resource_response
from api.source_tasks import NewSourceTask
from api.task_removal import remove_ended_tasks
from api.task_request import TaskRequest
from api.unsubscribing import unsubscribing
from taskfish.errors import RequestRefusedError, TemporalUnavailableError
from taskfish.plugins.addresses import can_be_named
from taskfish.redfish.links import ROOT
from taskfish.redfish.requests import (
    SOURCE_READ_ONLY,
    NewSourceBody,
    SourceChange,
    SourceRemoval,
)
from taskfish.redfish.resources import (
    AGGREGATION_SOURCES,
    CONNECTION_METHODS,
    AggregationSource,
    AggregationSourceLinks,
    AggregationSourceOem,
    AggregationSourceOptions,
    Status,
    collection,
    link,
    links,
)
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.sources import (
    ConnectionMethod,
    Source,
    SourceOptions,
    base_url,
    source_id_from,
)
from taskfish.redfish.task import Answer
from taskfish.store.sources import SourceChanges, SourceRecord

logger = logging.getLogger(__name__)
router = APIRouter()
GET = ["GET", "HEAD"]
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
async def add_source(asked: TaskRequest = Depends()) -> Response:
    """Start a task that adds a source; the member appears only when it succeeds.

    Whatever the source is like, it is the task that fails; 409 for one that is there
    already.
    """
    new = checked(NewSourceBody, asked.body, SOURCE_READ_ONLY)
    source = await _source_of(asked.gateway, new)
    headers = {"Content-Type": "application/json", "Location": source_uri(source.id)}
    resource = source_resource(source).to_json()
    answer = Answer(status=201, headers=headers, body=resource)
    return await answer_with_task(asked, NewSourceTask(asked, source, answer))


@router.api_route(f"{AGGREGATION_SOURCES}/{{source_id}}", methods=GET)
async def aggregation_source(
    source_id: str, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return one source, without its password."""
    record = await _ready_source(gateway, source_id)
    shown = await _shown(gateway, record)
    return versioned_response(shown, _etag(record, shown), SOURCE_METHODS)


@router.patch(f"{AGGREGATION_SOURCES}/{{source_id}}")
async def change_source(
    source_id: str,
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Change UserName, Password or Oem, and keep the rest as it is.

    Other processes go on with what they have read for up to two seconds.
    """
    record = await _ready_source(gateway, source_id)
    seen = await _seen(gateway, record, request)
    change = checked_change(SourceChange, body, SOURCE_READ_ONLY)
    options = await _options(gateway, change)
    _refuse_useless_pin(record.source.host_name, options)
    credentials = change.model_dump(exclude_unset=True, exclude={"oem"})
    changes = SourceChanges(**credentials, options=options)
    if not await gateway.sources.change(source_id, changes, seen):
        raise await _changed_meanwhile(gateway, source_id)
    return await aggregation_source(source_id, gateway)


@router.delete(f"{AGGREGATION_SOURCES}/{{source_id}}")
async def remove_source(
    source_id: str,
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Forget a source with its members; its watcher ends by itself.

    409 while tasks of it are open, unless the body says `Oem.Taskfish.Force`.
    """
    record = await _ready_source(gateway, source_id)
    seen = await _seen(gateway, record, request)
    removal = checked(SourceRemoval, body, SOURCE_READ_ONLY)
    forced = removal.oem and removal.oem.taskfish and removal.oem.taskfish.force
    if not forced and await _is_in_use(gateway, source_id):
        text = f"Tasks of {source_id} are still open."
        how = "Wait for their end, or send Oem.Taskfish.Force."
        raise refuse("ResourceInUse", text=text, resolution=how)
    if await gateway.sources.behind(source_id):
        text = f"Other sources are reached through {source_id}."
        raise refuse("ResourceInUse", text=text, resolution="Delete those first.")
    async with unsubscribing(gateway, source_id):
        if not await gateway.sources.remove(source_id, seen=seen):
            raise await _changed_meanwhile(gateway, source_id)
    if gateway.settings.remove_tasks_with_source:
        await _remove_tasks(gateway, source_id)
    return Response(status_code=204)


async def _is_in_use(gateway: Gateway, source_id: str) -> bool:
    """Say whether tasks are open that change a source, or will: steps of operations on
    several sources that have not begun have their turn on its systems.
    """
    if await gateway.tasks.has_open_tasks(source_id):
        return True
    systems = await gateway.inventory.systems_of(source_id)
    places = await gateway.turns.on(f"{ROOT}/Systems/{name}" for name in systems)
    open_places = OpenPlaces(gateway.temporal, gateway.turns)
    return await open_places.first(places) is not None


async def _remove_tasks(gateway: Gateway, source_id: str) -> None:
    """Remove the ended tasks of a source that is gone; else they go in their time."""
    try:
        await remove_ended_tasks(gateway, source_id)
    except TemporalUnavailableError as error:
        logger.warning("the tasks of %s stay for now: %s", source_id, error)


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
        oem=AggregationSourceOem(taskfish=_shown_options(source.options)),
    )


async def _shown(gateway: Gateway, record: SourceRecord) -> AggregationSource:
    """Return the resource as a GET shows it, with the systems that it leads to."""
    accessed = await gateway.inventory.systems_of(record.source.id)
    return source_resource(record.source, record, accessed)


def _etag(record: SourceRecord, shown: AggregationSource) -> str:
    """Return the ETag: another one also after a change of the password."""
    return etag_of(shown, record.version)


async def _seen(
    gateway: Gateway, record: SourceRecord, request: Request
) -> SourceRecord | None:
    """Return what a change with If-Match must find unchanged, None if anything will do.

    Raises 412 if that is not what it finds.
    """
    if wanted_etags(request) is None:
        return None
    check_if_match(request, _etag(record, await _shown(gateway, record)))
    return record


async def _changed_meanwhile(gateway: Gateway, source_id: str) -> RequestRefusedError:
    """Return the error for who was not the first of two; raise 404 if it is gone."""
    await _ready_source(gateway, source_id)
    text = "The source has changed while this request was under way."
    return refuse("PreconditionFailed", text=text)


def _shown_options(options: SourceOptions) -> AggregationSourceOptions:
    """Return Oem.Taskfish: every option, also one that was never set."""
    return AggregationSourceOptions(
        plugin=link(source_uri(options.plugin)) if options.plugin else None,
        plugin_auth=options.plugin_auth,
        instances=options.instances,
        verify_certificate=options.verify_certificate,
        ca_certificate=options.ca_certificate,
        fingerprint=options.fingerprint,
        max_concurrent_requests=options.max_concurrent_requests,
        poll_seconds=options.poll_seconds,
        adopt_tasks=options.adopt_tasks,
    )


async def _source_of(gateway: Gateway, body: NewSourceBody) -> Source:
    """Return the source that a body asks for; raise 400 for dangling references, and
    for a host that nobody can find.
    """
    reference = body.links.connection_method.odata_id
    collection_uri, _, method = reference.rpartition("/")
    if collection_uri != CONNECTION_METHODS or method not in list(ConnectionMethod):
        name = "Links/ConnectionMethod/@odata.id"
        raise refuse("PropertyValueNotInList", reference, name)
    if not can_be_named(base_url(body.host_name)):
        raise refuse("PropertyValueFormatError", body.host_name, "HostName")
    options = await _options(gateway, body)
    _refuse_useless_pin(body.host_name, options)
    return Source(
        id=body.id or source_id_from(body.host_name),
        name=body.name,
        host_name=body.host_name,
        method=ConnectionMethod(method),
        user_name=body.user_name,
        password=body.password,
        options=options,
    )


async def _options(gateway: Gateway, change: SourceChange) -> SourceOptions:
    """Return the options with only those set that Oem.Taskfish gives.

    Null sets a default.
    """
    given = change.oem.taskfish if change.oem else None
    if given is None:
        return SourceOptions()
    defaults = SourceOptions().model_dump()
    values = {
        name: defaults[name] if value is None else value
        for name, value in given.model_dump(exclude_unset=True).items()
        if name in defaults
    }
    if given.plugin is not None:
        values["plugin"] = await _plugin_at(gateway, given.plugin.odata_id)
    return SourceOptions.model_validate(values)


def _refuse_useless_pin(host_name: str, options: SourceOptions) -> None:
    """Raise 400 for a fingerprint where no certificate is ever shown."""
    if options.fingerprint and base_url(host_name).lower().startswith("http:"):
        raise refuse("PropertyValueConflict", "Oem/Taskfish/Fingerprint", "HostName")


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


async def _ready_source(gateway: Gateway, source_id: str) -> SourceRecord:
    record = await gateway.sources.get(source_id)
    if record is None or record.state != "ready":
        raise refuse("ResourceMissingAtURI", source_uri(source_id))
    return record
