"""The service root of a machine's BMC, its sessions and its tasks, as resources."""

import json
from datetime import UTC, datetime

from pydantic import JsonValue

from taskfish.plugins.machine.answers import Body
from taskfish.plugins.machine.executions import Execution
from taskfish.plugins.machine.jobs import Job
from taskfish.plugins.machine.modes import Modes
from taskfish.plugins.machine.resources import (
    HEALTHY,
    ROOT,
    Tree,
    collection,
    link,
    links,
    resource,
    timestamp,
)
from taskfish.plugins.machine.sessions import Session
from taskfish.plugins.machine.task_actions import offered_actions
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.task import TaskState

TASK_SERVICE = f"{ROOT}/TaskService"
TASKS = f"{TASK_SERVICE}/Tasks"
MONITORS = f"{TASK_SERVICE}/TaskMonitors"
SESSION_SERVICE = f"{ROOT}/SessionService"
SESSIONS = f"{SESSION_SERVICE}/Sessions"


def service_root(name: str, uuid: str, event_service: bool) -> Body:
    """Return the ServiceRoot, the one resource that needs no login."""
    more: Body = {"EventService": link(f"{ROOT}/EventService")} if event_service else {}
    return {
        "@odata.id": ROOT,
        "@odata.type": SCHEMA.odata_type("ServiceRoot"),
        "Id": "RootService",
        "Name": f"Emulated BMC {name}",
        "RedfishVersion": "1.20.0",
        "UUID": uuid,
        "Vendor": "Taskfish",
        "Product": "Emulated BMC",
        "Systems": link(f"{ROOT}/Systems"),
        "Chassis": link(f"{ROOT}/Chassis"),
        "Managers": link(f"{ROOT}/Managers"),
        "Tasks": link(TASK_SERVICE),
        "SessionService": link(SESSION_SERVICE),
        "AccountService": link(f"{ROOT}/AccountService"),
        "UpdateService": link(f"{ROOT}/UpdateService"),
        "Links": {"Sessions": link(SESSIONS)},
        **more,
    }


def task_service() -> Body:
    """Return the TaskService."""
    return resource(
        TASK_SERVICE,
        "TaskService",
        "Task Service",
        ServiceEnabled=True,
        DateTime=timestamp(datetime.now(UTC)),
        CompletedTaskOverWritePolicy="Oldest",
        LifeCycleEventOnTaskStateChange=True,
        Status=HEALTHY,
        Tasks=link(TASKS),
    )


def task_collection(jobs: list[Job]) -> Body:
    """Return the collection of the tasks that are listed."""
    return collection(TASKS, "Task", [f"{TASKS}/{job.id}" for job in jobs])


def task_allow(job: Job, modes: Modes) -> str:
    """Return the Allow of a job's Task and monitor: DELETE aborts, then removes."""
    removable = job.ended is not None or modes.abort != "unsupported"
    return "GET, HEAD, DELETE" if removable else "GET, HEAD"


def task_body(job: Job) -> Body:
    """Return the Task of a job."""
    uri = f"{TASKS}/{job.id}"
    return (
        resource(
            uri,
            "Task",
            job.work.name,
            TaskState=job.shown_state.value,
            StartTime=timestamp(job.started),
            PercentComplete=job.percent,
            Messages=[message.to_json() for message in job.messages],
        )
        | _payload(job.execution)
        | _state_properties(job)
        | offered_actions(job, uri)
    )


def task_status(job: Job) -> str:
    """Return the TaskStatus that a job's end deserves; OK before."""
    if job.state is TaskState.EXCEPTION:
        return "Critical"
    warned = job.warns and job.state is TaskState.COMPLETED
    return "Warning" if warned or job.state is TaskState.CANCELLED else "OK"


def _payload(execution: Execution) -> Body:
    """Return the Payload, hidden if there is a secret in it."""
    sent = execution.body
    if isinstance(sent, dict) and "Password" in sent:
        return {"HidePayload": True}
    return {
        "HidePayload": False,
        "Payload": {
            "TargetUri": execution.uri,
            "HttpOperation": execution.method,
            "HttpHeaders": ["Content-Type: application/json"],
            "JsonBody": json.dumps(sent),
        },
    }


def _state_properties(job: Job) -> Body:
    more: Body = {}
    if not job.monitor_gone and job.state is not TaskState.CANCELLED:
        more["TaskMonitor"] = f"{MONITORS}/{job.id}"
    if job.waiting and job.work.apply_time:
        more["@Redfish.OperationApplyTime"] = job.work.apply_time
    if job.ended:
        more["TaskStatus"] = task_status(job)
        more["EndTime"] = timestamp(job.ended)
    if job.created:
        more["Links"] = {"CreatedResources": links(job.created)}
    return more


def add_sessions(tree: Tree, sessions: list[Session], timeout: float | None) -> None:
    """Add the SessionService with its sessions."""
    uris = [f"{SESSIONS}/{session.id}" for session in sessions]
    tree.add(SESSION_SERVICE, lambda: _session_service(timeout))
    tree.add(SESSIONS, lambda: collection(SESSIONS, "Session", uris))
    for uri, session in zip(uris, sessions, strict=True):
        tree.add(uri, session_body(session).copy)


def _session_service(timeout: float | None) -> Body:
    return resource(
        SESSION_SERVICE,
        "SessionService",
        "Session Service",
        ServiceEnabled=True,
        SessionTimeout=max(30, int(timeout or 1800)),
        Status=HEALTHY,
        Sessions=link(SESSIONS),
    )


def session_body(session: Session) -> Body:
    """Return one Session, without its token."""
    properties: dict[str, JsonValue] = {
        "UserName": session.user_name,
        "Password": None,
        "SessionType": "Redfish",
    }
    uri = f"{SESSIONS}/{session.id}"
    return resource(uri, "Session", "User Session", **properties)
