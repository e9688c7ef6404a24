"""/redfish/v1/TaskService: the service, its Tasks and their monitors."""

import json
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.responses import (
    accepted_response,
    monitor_uri,
    resource_response,
    source_response,
    task_uri,
)
from api.task_reader import TaskView
from taskfish.errors import TemporalUnavailableError
from taskfish.redfish.resources import (
    TASK_SERVICE,
    TASKS,
    Status,
    Task,
    TaskLinks,
    TaskPayload,
    TaskService,
    collection,
    link,
    links,
)
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.task import TaskState

router = APIRouter()
GET = ["GET", "HEAD"]


@router.api_route("/redfish/v1/TaskService", methods=GET)
async def task_service(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the TaskService."""
    expiry = round(gateway.settings.task_monitor_auto_expiry)
    return resource_response(
        TaskService(
            odata_id=TASK_SERVICE,
            odata_type=SCHEMA.odata_type("TaskService"),
            id="TaskService",
            name="Task Service",
            date_time=datetime.now(UTC).replace(microsecond=0),
            completed_task_over_write_policy="Oldest",
            life_cycle_event_on_task_state_change=False,
            service_enabled=True,
            task_monitor_auto_expiry_seconds=expiry,
            status=Status(),
            tasks=link(TASKS),
        )
    )


@router.api_route("/redfish/v1/TaskService/Tasks", methods=GET)
async def tasks(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the collection of all tasks: the open ones first, then the last ended."""
    found = [task_uri(task_id) async for task_id in gateway.tasks.ids()]
    return resource_response(collection(TASKS, "TaskCollection", "Tasks", found))


@router.api_route("/redfish/v1/TaskService/Tasks/{task_id}", methods=GET)
async def task(task_id: str, gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return a Task: 200 at all times, also while it runs (DSP0266 12.2)."""
    view = await _view(gateway, task_id, task_uri(task_id))
    has_monitor = await _monitor_is_there(gateway, view)
    return resource_response(task_resource(view, has_monitor))


@router.api_route("/redfish/v1/TaskService/TaskMonitors/{task_id}", methods=GET)
async def task_monitor(
    task_id: str, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return 202 until the end, then the operation's own answer until it expires."""
    uri = monitor_uri(task_id)
    view = await _view(gateway, task_id, uri)
    if not view.state.ended:
        response = accepted_response(task_id, task_resource(view, has_monitor=True))
        response.headers["Allow"] = ", ".join(GET)
        return response
    if not await _monitor_is_there(gateway, view):
        raise refuse("ResourceMissingAtURI", uri)
    answer = await gateway.tasks.answer(view)
    await gateway.monitor_reads.note((view.id, view.run_id))
    return source_response(answer, GET)


async def accepted_task(gateway: Gateway, task_id: str) -> Response:
    """Return the 202 of a task that has just started, with the Task if readable."""
    try:
        view = await gateway.tasks.read(task_id)
    except TemporalUnavailableError:
        view = None
    return accepted_response(task_id, task_resource(view, True) if view else None)


def task_resource(view: TaskView, has_monitor: bool) -> Task:
    """Return the Task resource of a view (Task v1.7.4)."""
    created = view.created
    return Task(
        odata_id=task_uri(view.id),
        odata_type=SCHEMA.odata_type("Task"),
        id=view.id,
        name=view.request.name,
        task_state=view.state,
        task_status=view.status,
        start_time=view.started,
        end_time=view.ended,
        percent_complete=view.percent,
        task_monitor=monitor_uri(view.id) if has_monitor else None,
        hide_payload=False,
        payload=_payload(view),
        messages=[message.to_json() for message in view.messages],
        links=TaskLinks(
            created_resources=links(created), created_resources_count=len(created)
        )
        if created
        else None,
    )


async def _view(gateway: Gateway, task_id: str, uri: str) -> TaskView:
    view = await gateway.tasks.read(task_id)
    if view is None:
        raise refuse("ResourceMissingAtURI", uri)
    return view


async def _monitor_is_there(gateway: Gateway, view: TaskView) -> bool:
    """Say whether a task still has a monitor: not once cancelled, nor expired."""
    if not view.state.ended:
        return True
    if view.state is TaskState.CANCELLED:
        return False
    run = (view.id, view.run_id)
    first_read = (await gateway.monitor_reads.first_read([run])).get(run)
    expiry = timedelta(seconds=gateway.settings.task_monitor_auto_expiry)
    return first_read is None or datetime.now(UTC) < first_read + expiry


def _payload(view: TaskView) -> TaskPayload:
    request = view.request
    return TaskPayload(
        target_uri=request.uri,
        http_operation=request.method,
        http_headers=list(request.headers),
        json_body="" if request.body is None else json.dumps(request.body),
    )
