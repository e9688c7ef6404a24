"""/redfish/v1/AggregationService/Aggregates: named groups of machines."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.bodies import json_body
from api.bulk import (
    BOOT_ORDER,
    RESETS,
    Batches,
    BulkPlan,
    BulkRequest,
    answer_bulk,
    collection_of,
    plan_of_machines,
    refused_machines,
    unknown_machines,
)
from api.checked_bodies import checked, checked_action
from api.errors import refuse
from api.etags import check_if_match, etag_of, versioned_response
from api.gateway import Gateway, gateway_of
from api.responses import resource_response
from api.task_request import TaskRequest
from taskfish.errors import RequestRefusedError
from taskfish.redfish.action_parameters import action_parameters
from taskfish.redfish.aggregate_requests import (
    PARAMETERS,
    AggregateReset,
    Elements,
    MachineRef,
    NewAggregate,
    NoParameters,
)
from taskfish.redfish.aggregate_resources import (
    ADD_ELEMENTS,
    AGGREGATE_ACTIONS,
    AGGREGATES,
    BOOT_ORDER_OF_AGGREGATE,
    REMOVE_ELEMENTS,
    RESET_AGGREGATE,
    Aggregate,
    aggregate_uri,
)
from taskfish.redfish.bulk import MOST_MACHINES
from taskfish.redfish.operations import OperationName
from taskfish.redfish.resources import (
    ActionInfo,
    collection,
    described_actions,
    links,
)
from taskfish.redfish.schema import SCHEMA
from taskfish.store.aggregates import AggregateRecord

router = APIRouter()
GET = ["GET", "HEAD"]
AGGREGATE_METHODS = (*GET, "DELETE")
AGGREGATE = f"{AGGREGATES}/{{aggregate_id}}"
READ_ONLY = frozenset({"Description", "ElementsCount", "Actions", "Oem"})
"""Properties of an Aggregate that nobody writes."""


@router.api_route(AGGREGATES, methods=GET)
async def aggregates(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return all aggregates."""
    uris = map(aggregate_uri, await gateway.aggregates.ids())
    found = collection(AGGREGATES, "AggregateCollection", "Aggregates", uris)
    return resource_response(found, (*GET, "POST"))


@router.post(AGGREGATES)
@router.post(f"{AGGREGATES}/Members", include_in_schema=False)
async def add_aggregate(
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Make an aggregate of machines: 201 with Location and the aggregate."""
    new = checked(NewAggregate, body, READ_ONLY)
    elements = await _known(gateway, new.elements, "POST")
    aggregate_id = new.id or secrets.token_hex(4)
    name = new.name or aggregate_id
    record = await gateway.aggregates.add(aggregate_id, name, elements)
    if record is None:
        raise refuse("ResourceAlreadyExists", "Aggregate", "Id", aggregate_id)
    return _response(record, 201, {"Location": aggregate_uri(aggregate_id)})


@router.api_route(AGGREGATE, methods=GET)
async def aggregate(
    aggregate_id: str, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return one aggregate with its elements, also those that have gone since."""
    return _response(await _record(gateway, aggregate_id))


@router.delete(AGGREGATE)
async def remove_aggregate(
    aggregate_id: str, request: Request, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Forget an aggregate: 204. Its elements stay, and operations on it go on."""
    record = await _record(gateway, aggregate_id)
    check_if_match(request, _etag(record))
    if not await gateway.aggregates.remove(record):
        await _record(gateway, aggregate_id)
        text = "The aggregate has changed while this request was under way."
        raise refuse("PreconditionFailed", text=text)
    return Response(status_code=204)


@dataclass(frozen=True)
class ElementsRequest:
    """A POST to an action that gives an aggregate other elements."""

    aggregate_id: str
    http: Request
    body: Annotated[dict[str, JsonValue], Depends(json_body)]
    gateway: Annotated[Gateway, Depends(gateway_of)]

    async def change(
        self, elements: Callable[[AggregateRecord], Sequence[str]]
    ) -> Response:
        """Give it the elements that are made of it as it is: 204.

        Raises 404 if it is not there, 412 if it is not the version of If-Match.
        """

        def checked_elements(before: AggregateRecord) -> Sequence[str]:
            check_if_match(self.http, _etag(before))
            return elements(before)

        aggregates = self.gateway.aggregates
        if await aggregates.change(self.aggregate_id, checked_elements) is None:
            raise refuse("ResourceMissingAtURI", aggregate_uri(self.aggregate_id))
        return Response(status_code=204)


@router.post(f"{AGGREGATE}/Actions/{ADD_ELEMENTS}")
async def add_elements(asked: ElementsRequest = Depends()) -> Response:
    """Put machines into an aggregate: 204. Those that are in it stay so."""
    added = checked_action(Elements, asked.body, ADD_ELEMENTS).elements
    await _record(asked.gateway, asked.aggregate_id)
    new = await _known(asked.gateway, added, ADD_ELEMENTS)

    def with_new(before: AggregateRecord) -> Sequence[str]:
        together = tuple(dict.fromkeys((*before.elements, *new)))
        if len(together) > MOST_MACHINES:
            text = f"An aggregate has {MOST_MACHINES} elements at most."
            raise refuse(
                "ActionParameterValueConflict",
                "Elements",
                f"{len(together)}",
                text=text,
                resolution="Make another aggregate.",
            )
        return together

    return await asked.change(with_new)


@router.post(f"{AGGREGATE}/Actions/{REMOVE_ELEMENTS}")
async def remove_elements(asked: ElementsRequest = Depends()) -> Response:
    """Take machines out of an aggregate: 204. Raises 400 for one that is not in it."""
    wanted = checked_action(Elements, asked.body, REMOVE_ELEMENTS).elements
    gone = {each.odata_id for each in wanted}

    def without(before: AggregateRecord) -> Sequence[str]:
        for uri in sorted(gone - set(before.elements))[:1]:
            raise refuse(
                "ActionParameterValueNotInList",
                uri[:200],
                "Elements",
                REMOVE_ELEMENTS,
                resolution=f"It is no element: read {aggregate_uri(before.id)}.",
            )
        return [uri for uri in before.elements if uri not in gone]

    return await asked.change(without)


@router.post(f"{AGGREGATE}/Actions/{RESET_AGGREGATE}")
async def reset_aggregate(
    aggregate_id: str, asked: TaskRequest = Depends()
) -> Response:
    """Reset all elements as one task, each as a step of it."""
    wanted = checked_action(AggregateReset, asked.body, RESET_AGGREGATE)
    inside: dict[str, JsonValue] = (
        {"ResetType": wanted.reset_type} if wanted.reset_type else {}
    )
    bulk = BulkRequest(
        operation=OperationName(RESET_AGGREGATE, "Aggregate", aggregate_id),
        uri=f"{aggregate_uri(aggregate_id)}/Actions/{RESET_AGGREGATE}",
        plan=partial(_plan, asked, aggregate_id, RESETS, inside),
        batches=Batches(wanted.batch_size, wanted.delay),
    )
    return await answer_bulk(asked, bulk)


@router.post(f"{AGGREGATE}/Actions/{BOOT_ORDER_OF_AGGREGATE}")
async def set_default_boot_order(
    aggregate_id: str, asked: TaskRequest = Depends()
) -> Response:
    """Give all systems among the elements their default boot order, as one task."""
    checked_action(NoParameters, asked.body, BOOT_ORDER_OF_AGGREGATE)
    bulk = BulkRequest(
        operation=OperationName(BOOT_ORDER_OF_AGGREGATE, "Aggregate", aggregate_id),
        uri=f"{aggregate_uri(aggregate_id)}/Actions/{BOOT_ORDER_OF_AGGREGATE}",
        plan=partial(_plan, asked, aggregate_id, BOOT_ORDER, {}),
    )
    return await answer_bulk(asked, bulk)


async def action_info(
    request: Request, aggregate_id: str, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return which parameters an action takes."""
    await _record(gateway, aggregate_id)
    uri: str = request.scope["path"]
    name = f"Aggregate.{uri.rpartition('/')[2].removesuffix('ActionInfo')}"
    return resource_response(described(uri, name))


for _action in AGGREGATE_ACTIONS:
    router.add_api_route(
        f"{AGGREGATE}/{_action.partition('.')[2]}ActionInfo", action_info, methods=GET
    )


def described(uri: str, action: str) -> ActionInfo:
    """Return the ActionInfo of one of the actions for many machines."""
    return ActionInfo(
        odata_id=uri,
        odata_type=SCHEMA.odata_type("ActionInfo"),
        id=uri.rpartition("/")[2],
        name=f"{action} Action Info",
        parameters=[each.described for each in action_parameters(PARAMETERS[action])],
    )


def aggregate_resource(record: AggregateRecord) -> Aggregate:
    """Return the Aggregate resource."""
    uri = aggregate_uri(record.id)
    return Aggregate(
        odata_id=uri,
        odata_type=SCHEMA.odata_type("Aggregate"),
        id=record.id,
        name=record.name,
        elements=links(record.elements),
        elements_count=len(record.elements),
        actions=described_actions(uri, AGGREGATE_ACTIONS),
    )


def _response(
    record: AggregateRecord, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return versioned_response(
        aggregate_resource(record), _etag(record), AGGREGATE_METHODS, status, headers
    )


def _etag(record: AggregateRecord) -> str:
    key = f"{record.created_at.timestamp()}"
    return etag_of(aggregate_resource(record), key, record.revision)


async def _record(gateway: Gateway, aggregate_id: str) -> AggregateRecord:
    record = await gateway.aggregates.get(aggregate_id)
    if record is None:
        raise refuse("ResourceMissingAtURI", aggregate_uri(aggregate_id))
    return record


async def _plan(
    asked: TaskRequest,
    aggregate_id: str,
    actions: dict[str, str],
    body: dict[str, JsonValue],
) -> BulkPlan:
    """Return the steps for all elements; raise 400 for an aggregate without any."""
    record = await _record(asked.gateway, aggregate_id)
    if not record.elements:
        text = f"The aggregate {aggregate_id} has no elements."
        raise refuse(
            "OperationFailed", text=text, resolution="Add elements.", status=400
        )
    return await plan_of_machines(asked, record.elements, actions, body)


async def _known(
    gateway: Gateway, machines: Sequence[MachineRef], action: str
) -> list[str]:
    """Return the URIs of machines, each once; raise 400 for those that are unknown, or
    that are no systems, chassis or managers.
    """
    uris = list(dict.fromkeys(each.odata_id for each in machines))
    wrong = [uri for uri in uris if collection_of(uri) not in RESETS]
    if wrong:
        raise _wrong(wrong, action)
    found = await gateway.inventory.at(uris)
    unknown = [uri for uri in uris if uri not in found]
    if unknown:
        raise unknown_machines(unknown)
    return uris


def _wrong(uris: Sequence[str], action: str) -> RequestRefusedError:
    if action != "POST":
        return refused_machines(uris, "Elements", action, RESETS)
    return refuse("PropertyValueNotInList", uris[0][:200], "Elements")
