"""/redfish/v1/TaskService: the service itself."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue, ValidationError
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from api.bodies import json_body
from api.errors import refuse
from api.etags import wanted_etags
from api.gateway import Gateway, gateway_of
from api.maintenance_window import changed_window
from api.oem_links import oem_actions
from api.responses import resource_response
from api.task_removal import remove_ended_tasks
from api.temporal_faults import TEMPORAL_FAULTS, unavailable
from taskfish.errors import RequestRefusedError
from taskfish.redfish.apply_time import MAINTENANCE_WINDOW
from taskfish.redfish.messages import base_message
from taskfish.redfish.requests import (
    TASK_SERVICE_READ_ONLY,
    TaskServiceBody,
    messages_of,
)
from taskfish.redfish.resources import (
    TASK_SERVICE,
    TASKS,
    Action,
    Status,
    TaskService,
    link,
)
from taskfish.redfish.schema import SCHEMA
from taskfish.store.service_settings import TaskServiceOptions
from taskfish.temporal import RPC_TIMEOUT

router = APIRouter()
GET = ["GET", "HEAD"]
DELETE_ALL = "TaskService.DeleteAllCompletedTasks"
DELETE_ALL_URI = f"{TASK_SERVICE}/Actions/{DELETE_ALL}"
_TIMEOUT = "TaskAutoDeleteTimeoutMinutes"


@router.api_route(TASK_SERVICE, methods=GET)
async def task_service(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the TaskService."""
    return _response(await gateway.service_settings.read())


@router.patch(TASK_SERVICE)
async def change_task_service(
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Change how long tasks and monitors are kept, whether changes may start, and the
    maintenance window of those that bring none.

    400 for what cannot be, 412 if the resource is not the version of If-Match. Other
    processes follow within 2 seconds.
    """
    change, window = _checked(body), await changed_window(gateway, body)
    if "task_auto_delete_timeout_minutes" in change.model_fields_set:
        await _check_retention(gateway, change.task_auto_delete_timeout_minutes)
    options = await gateway.service_settings.change(
        change.model_dump(exclude_unset=True) | window, wanted_etags(request)
    )
    if options is None:
        raise refuse("PreconditionFailed")
    return _response(options)


@router.post(DELETE_ALL_URI)
async def delete_all_completed_tasks(
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Remove every task that has ended by now: 204, also while many are still going."""
    if body:
        raise refuse("ActionParameterUnknown", DELETE_ALL, next(iter(body))[:80])
    await remove_ended_tasks(gateway)
    return Response(status_code=204)


def _response(options: TaskServiceOptions) -> Response:
    enabled, window = options.service_enabled, options.maintenance_window
    service = TaskService(
        odata_id=TASK_SERVICE,
        odata_type=SCHEMA.odata_type("TaskService"),
        odata_etag=options.etag,
        id="TaskService",
        name="Task Service",
        date_time=datetime.now(UTC).replace(microsecond=0),
        completed_task_over_write_policy=options.overwrite_policy,
        life_cycle_event_on_task_state_change=True,
        service_enabled=enabled,
        task_auto_delete_timeout_minutes=options.task_auto_delete_timeout_minutes,
        task_monitor_auto_expiry_seconds=options.task_monitor_auto_expiry_seconds,
        status=Status(state="Enabled" if enabled else "Disabled"),
        tasks=link(TASKS),
        actions={
            f"#{DELETE_ALL}": Action(target=DELETE_ALL_URI),
            "Oem": oem_actions(TASK_SERVICE, "TaskService"),
        },
        maintenance_window=window.to_json() if window else None,
    )
    return resource_response(service, (*GET, "PATCH"), {"ETag": options.etag})


def _checked(body: dict[str, JsonValue]) -> TaskServiceBody:
    """Return a checked PATCH; annotations of OData are ignored (DSP0266, PATCH)."""
    values = {name: value for name, value in body.items() if "@odata." not in name}
    if not values:
        raise refuse("NoOperation")
    values.pop(MAINTENANCE_WINDOW, None)
    try:
        return TaskServiceBody.model_validate(values)
    except ValidationError as error:
        messages = messages_of(error, read_only=TASK_SERVICE_READ_ONLY)
        raise RequestRefusedError(*messages) from error


async def _check_retention(gateway: Gateway, minutes: int) -> None:
    """Raise 400 if Temporal would forget tasks before their time (contracts.md 8)."""
    kept = await _kept_by_temporal(gateway)
    if timedelta(minutes=minutes) > kept:
        longest = int(kept / timedelta(minutes=1))
        how = (
            f"Choose at most {longest}, or give the Temporal namespace a longer "
            "retention (`taskfish temporal setup`)."
        )
        message = base_message(
            "PropertyValueOutOfRange",
            str(minutes),
            _TIMEOUT,
            resolution=how,
            related=(f"#/{_TIMEOUT}",),
        )
        raise RequestRefusedError(message)


async def _kept_by_temporal(gateway: Gateway) -> timedelta:
    """Return how long Temporal itself keeps what has ended."""
    request = DescribeNamespaceRequest(namespace=gateway.temporal.namespace)
    try:
        found = await gateway.temporal.workflow_service.describe_namespace(
            request, timeout=RPC_TIMEOUT
        )
    except TEMPORAL_FAULTS as error:
        raise unavailable(error) from error
    return found.config.workflow_execution_retention_ttl.ToTimedelta()
