"""Tasks as clients see them: the Task of a view, and what may be done to it."""

import json
from collections.abc import Sequence

from fastapi.responses import Response
from pydantic import JsonValue

from api.accepted_modes import accepted_response
from api.gateway import Gateway
from api.monitor_expiry import monitors_there
from api.responses import GET, monitor_uri, subtasks_uri, task_uri
from api.roll_up import rolled_up
from api.task_view import TaskView
from taskfish.redfish.apply_time import MAINTENANCE_WINDOW, OPERATION_APPLY_TIME
from taskfish.redfish.resources import (
    Task,
    TaskAction,
    TaskActions,
    TaskFacts,
    TaskLinks,
    TaskOem,
    TaskPayload,
    link,
    links,
)
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.secrecy import is_masked
from taskfish.redfish.task import TaskState
from taskfish.store.accounts import AcceptedForm
from taskfish.store.service_settings import TaskServiceOptions

SUSPEND, RESUME, KILL = "Taskfish.Suspend", "Taskfish.Resume", "Taskfish.Kill"
SET_TAGS = "Taskfish.SetTags"
PAUSE_BEFORE = "Taskfish.PauseBefore"


async def task_resource(gateway: Gateway, view: TaskView) -> Task:
    """Return the Task resource of a view (Task v1.7.4)."""
    (task,) = await task_resources(gateway, [view])
    return task


async def task_resources(gateway: Gateway, views: Sequence[TaskView]) -> list[Task]:
    """Return the Task resources of many views, without a query for each."""
    options = await gateway.service_settings.read()
    views = await rolled_up(gateway.event_log, views)
    monitors = await monitors_there(gateway, views)
    return [_task(gateway, view, options, view.run in monitors) for view in views]


def _task(
    gateway: Gateway, view: TaskView, options: TaskServiceOptions, has_monitor: bool
) -> Task:
    created = view.created
    hides_payload = _hides_payload(gateway, view)
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
        task_monitor=monitor_of(view) if has_monitor else None,
        sub_tasks=None if view.plan is None else link(subtasks_uri(view.id)),
        hide_payload=hides_payload,
        payload=None if hides_payload or not view.request.method else _payload(view),
        messages=[message.to_json() for message in view.messages],
        links=TaskLinks(
            created_resources=links(created), created_resources_count=len(created)
        )
        if created
        else None,
        actions=None if view.state.ended else _actions(view),
        operation_apply_time=_waits_for(view, OPERATION_APPLY_TIME),
        maintenance_window=_waits_for(view, MAINTENANCE_WINDOW),
        oem=TaskOem(
            taskfish=TaskFacts(
                expires_at=options.expires_at(view.closed),
                operation=view.labels.operation,
                target_resource=view.request.uri,
                resource_type=view.labels.resource_type,
                source=view.labels.source,
                owner=view.labels.owner or None,
                tags=view.labels.tags or None,
                request_id=view.labels.request_id,
                plugin_task_uri=view.labels.plugin_task,
                deadline=view.deadline,
                workflow_uri=_workflow_uri(gateway, view),
            )
        ),
    )


def monitor_of(view: TaskView) -> str:
    """Return the URI of a task's monitor: with a chosen Id it names the run."""
    return monitor_uri(view.id, view.first_run_id if view.request.chosen else None)


async def accepted_view(
    gateway: Gateway, form: AcceptedForm, view: TaskView
) -> Response:
    """Return the 202 of a task that goes on: its monitor as Location, the Task."""
    task = await task_resource(gateway, view)
    response = accepted_response(form, view.id, monitor_of(view), task)
    response.headers["Allow"] = ", ".join(allowed_methods(view))
    return response


def action_uri(task_id: str, action: str) -> str:
    """Return the target of an action of a Task."""
    return f"{task_uri(task_id)}/Actions/Oem/{action}"


def action_info_uri(task_id: str, action: str) -> str:
    """Return the URI of an action's ActionInfo."""
    return f"{task_uri(task_id)}/{action.partition('.')[2]}ActionInfo"


def allowed_methods(view: TaskView) -> tuple[str, ...]:
    """Return the methods of a Task and of its monitor: with DELETE while a cancel is
    possible, and once it has ended.
    """
    return GET if _is_known_unabortable(view) else (*GET, "DELETE")


def actions_of(view: TaskView) -> tuple[str, ...]:
    """Return the actions of a task while it runs, in its Actions.Oem: those that may
    ever do something for it.
    """
    of_all = (SET_TAGS, KILL)
    if view.labels.adds_source:
        return of_all
    has_named_steps = view.plan is not None and view.plan.alike is None
    of_steps = (PAUSE_BEFORE,) if has_named_steps else ()
    return (SUSPEND, RESUME, *of_steps, *of_all)


def _is_known_unabortable(view: TaskView) -> bool:
    ended_or_asked = view.state.ended or view.is_cancelling
    return view.abortable is False and not ended_or_asked


def _workflow_uri(gateway: Gateway, view: TaskView) -> str | None:
    """Return the page of Temporal's Web UI, if it is known where that is."""
    origin = gateway.settings.temporal_ui_origin
    if origin is None:
        return None
    place = f"{origin}/namespaces/{gateway.temporal.namespace}/workflows"
    return f"{place}/{view.id}/{view.run_id}/history"


def _actions(view: TaskView) -> TaskActions:
    return TaskActions(
        oem={
            f"#{action}": TaskAction(
                target=action_uri(view.id, action),
                action_info=action_info_uri(view.id, action),
            )
            for action in actions_of(view)
        }
    )


def _waits_for(view: TaskView, annotation: str) -> JsonValue:
    """Return what the request said of its time, while nothing is sent for it."""
    body = view.request.body
    if view.state is not TaskState.PENDING or not isinstance(body, dict):
        return None
    return body.get(annotation)


def _hides_payload(gateway: Gateway, view: TaskView) -> bool:
    """Say whether the request is not to be shown, even with its secrets masked; one
    that is too long is not kept.
    """
    wanted = gateway.settings.hide_payload
    has_secret = wanted == "secrets" and is_masked(view.request.body)
    return wanted == "always" or has_secret or view.request.is_long


def _payload(view: TaskView) -> TaskPayload:
    request = view.request
    return TaskPayload(
        target_uri=request.uri,
        http_operation=request.method,
        http_headers=list(request.headers),
        json_body="" if request.body is None else json.dumps(request.body),
    )
