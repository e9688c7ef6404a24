"""What the OpenAPI document says of requests that the routes themselves do not tell.

A source's resources are many: the document has those whose bodies are checked here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from taskfish.redfish.account_requests import (
    AccountChange,
    AccountServiceChange,
    NewAccountBody,
)
from taskfish.redfish.account_resources import ACCOUNT_SERVICE, ACCOUNTS
from taskfish.redfish.aggregate_requests import (
    AggregateReset,
    BootOrders,
    Elements,
    MachinesReset,
    NewAggregate,
)
from taskfish.redfish.aggregate_resources import (
    ADD_ELEMENTS,
    AGGREGATES,
    BOOT_ORDER_OF_AGGREGATE,
    BOOT_ORDERS,
    REMOVE_ELEMENTS,
    RESET_AGGREGATE,
    RESET_MACHINES,
)
from taskfish.redfish.event_requests import (
    EventServiceChange,
    NewSubscriptionBody,
    ResumeBody,
    SubmittedEvent,
    SubscriptionChange,
)
from taskfish.redfish.event_resources import (
    RESUME,
    SUBMIT_TEST_EVENT,
    SUBSCRIPTIONS,
    SUSPEND,
    TEST_SUBSCRIPTION,
)
from taskfish.redfish.events import EVENT_SERVICE
from taskfish.redfish.inventory import COLLECTIONS
from taskfish.redfish.links import ROOT
from taskfish.redfish.operations import action_owner, action_target
from taskfish.redfish.requests import (
    BiosBody,
    InsertMediaBody,
    NewSourceBody,
    PauseBeforeBody,
    RequestBody,
    ResetBody,
    SimpleUpdateBody,
    SourceChange,
    SourceRemoval,
    SystemBody,
    TagsBody,
    TaskServiceBody,
    VolumeBody,
)
from taskfish.redfish.resources import (
    AGGREGATION_SERVICE,
    AGGREGATION_SOURCES,
    SIMPLE_UPDATE,
    TASK_MONITORS,
    TASK_SERVICE,
    TASKS,
)
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.session_requests import LoginBody, SessionServiceChange
from taskfish.redfish.session_resources import SESSION_SERVICE, SESSIONS
from workflows.operations import OPERATIONS

AS_TASK = (200, 201, 202, 204)
"""A task's 202, or the source's own answer where that comes soon enough."""


class AnyBody(RequestBody):
    """Whatever the source takes."""


class NoParameters(BaseModel):
    """The body of an action that takes no parameters; it may be left out."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Operation:
    """The body that a request takes, and the statuses of its success."""

    body: type[BaseModel] | None = None
    statuses: tuple[int, ...] = (200,)

    @property
    def is_task(self) -> bool:
        """Whether a task may come of it."""
        return self.statuses == AS_TASK


def _changed_by(body: type[BaseModel]) -> Operation:
    return Operation(body, AS_TASK)


_READ = Operation()
_NO_CONTENT = (204,)
_ACTION = Operation(NoParameters, _NO_CONTENT)
_REMOVED = Operation(statuses=AS_TASK)
_RESET = {"POST": _changed_by(ResetBody)}
_BY_METHOD = {
    "GET": _READ,
    "HEAD": _READ,
    "POST": _changed_by(AnyBody),
    "PATCH": _changed_by(AnyBody),
    "PUT": _changed_by(AnyBody),
    "DELETE": _REMOVED,
}
_SYSTEM = f"{ROOT}/Systems/{{member}}"
_MEDIA = f"{ROOT}/Managers/{{member}}/VirtualMedia/{{media}}/Actions"
_AGGREGATE = f"{AGGREGATES}/{{aggregate_id}}"
_SUBSCRIPTION = f"{SUBSCRIPTIONS}/{{subscription_id}}"
_VOLUMES = f"{_SYSTEM}/Storage/{{storage}}/Volumes"

Operations = Mapping[str, Mapping[str, Operation]]
"""Path → method → what is said of it."""


def _resource(path: str, **changes: Operation) -> Operations:
    """Return the row of a resource, with the methods that the schemas give it."""
    allowed = SCHEMA.allowed_at(path) or ()
    return {path: {method: _BY_METHOD[method] for method in allowed} | changes}


ROUTED: Operations = {
    **{
        action_target(action_owner(each.resources), name): {
            "POST": _changed_by(each.parameters)
        }
        for name, each in OPERATIONS.items()
    },
    ACCOUNT_SERVICE: {"PATCH": Operation(AccountServiceChange)},
    ACCOUNTS: {"POST": Operation(NewAccountBody, (201,))},
    f"{ACCOUNTS}/{{name}}": {
        "PATCH": Operation(AccountChange),
        "DELETE": Operation(statuses=_NO_CONTENT),
    },
    AGGREGATES: {"POST": Operation(NewAggregate, (201,))},
    _AGGREGATE: {"DELETE": Operation(statuses=_NO_CONTENT)},
    f"{_AGGREGATE}/Actions/{ADD_ELEMENTS}": {"POST": Operation(Elements, _NO_CONTENT)},
    f"{_AGGREGATE}/Actions/{REMOVE_ELEMENTS}": {
        "POST": Operation(Elements, _NO_CONTENT)
    },
    f"{_AGGREGATE}/Actions/{RESET_AGGREGATE}": {"POST": _changed_by(AggregateReset)},
    f"{_AGGREGATE}/Actions/{BOOT_ORDER_OF_AGGREGATE}": {
        "POST": _changed_by(NoParameters)
    },
    f"{AGGREGATION_SERVICE}/Actions/{RESET_MACHINES}": {
        "POST": _changed_by(MachinesReset)
    },
    f"{AGGREGATION_SERVICE}/Actions/{BOOT_ORDERS}": {"POST": _changed_by(BootOrders)},
    AGGREGATION_SOURCES: {"POST": _changed_by(NewSourceBody)},
    f"{AGGREGATION_SOURCES}/{{source_id}}": {
        "PATCH": Operation(SourceChange),
        "DELETE": Operation(SourceRemoval, _NO_CONTENT),
    },
    SESSION_SERVICE: {"PATCH": Operation(SessionServiceChange)},
    SESSIONS: {"POST": Operation(LoginBody, (201,))},
    f"{SESSIONS}/{{session_id}}": {"DELETE": Operation(statuses=_NO_CONTENT)},
    EVENT_SERVICE: {"PATCH": Operation(EventServiceChange)},
    f"{EVENT_SERVICE}/Actions/{SUBMIT_TEST_EVENT}": {
        "POST": Operation(SubmittedEvent, _NO_CONTENT)
    },
    f"{EVENT_SERVICE}/Actions/{TEST_SUBSCRIPTION}": {"POST": _ACTION},
    SUBSCRIPTIONS: {"POST": Operation(NewSubscriptionBody, (201,))},
    _SUBSCRIPTION: {
        "PATCH": Operation(SubscriptionChange),
        "DELETE": Operation(statuses=_NO_CONTENT),
    },
    f"{_SUBSCRIPTION}/Actions/{SUSPEND}": {"POST": _ACTION},
    f"{_SUBSCRIPTION}/Actions/{RESUME}": {"POST": Operation(ResumeBody, _NO_CONTENT)},
    TASK_SERVICE: {"PATCH": Operation(TaskServiceBody)},
    f"{TASK_SERVICE}/Actions/TaskService.DeleteAllCompletedTasks": {"POST": _ACTION},
    f"{TASKS}/{{task_id}}": {"DELETE": _REMOVED},
    f"{TASKS}/{{task_id}}/SubTasks/{{step}}": {"DELETE": Operation(statuses=(202,))},
    f"{TASKS}/{{task_id}}/Actions/Oem/Taskfish.PauseBefore": {
        "POST": Operation(PauseBeforeBody, _NO_CONTENT)
    },
    f"{TASKS}/{{task_id}}/Actions/Oem/Taskfish.Suspend": {"POST": _ACTION},
    f"{TASKS}/{{task_id}}/Actions/Oem/Taskfish.Resume": {"POST": _ACTION},
    f"{TASKS}/{{task_id}}/Actions/Oem/Taskfish.Kill": {"POST": _ACTION},
    f"{TASKS}/{{task_id}}/Actions/Oem/Taskfish.SetTags": {
        "POST": Operation(TagsBody, _NO_CONTENT)
    },
    f"{TASK_MONITORS}/{{name}}": {
        "GET": Operation(statuses=AS_TASK),
        "HEAD": Operation(statuses=AS_TASK),
        "DELETE": _REMOVED,
    },
    SIMPLE_UPDATE: {"POST": _changed_by(SimpleUpdateBody)},
}
"""What differs from a GET that answers 200."""

OF_SOURCES: Operations = {
    **{
        path: row
        for name in COLLECTIONS
        for path, row in _resource(f"{ROOT}/{name}/{{member}}").items()
    },
    **_resource(_SYSTEM, PATCH=_changed_by(SystemBody)),
    f"{_SYSTEM}/Actions/ComputerSystem.Reset": _RESET,
    **_resource(f"{_SYSTEM}/Bios"),
    **_resource(f"{_SYSTEM}/Bios/Settings", PATCH=_changed_by(BiosBody)),
    **_resource(_VOLUMES, POST=_changed_by(VolumeBody)),
    **_resource(f"{_VOLUMES}/{{volume}}"),
    f"{ROOT}/Chassis/{{member}}/Actions/Chassis.Reset": _RESET,
    f"{ROOT}/Managers/{{member}}/Actions/Manager.Reset": _RESET,
    f"{_MEDIA}/VirtualMedia.InsertMedia": {"POST": _changed_by(InsertMediaBody)},
    f"{_MEDIA}/VirtualMedia.EjectMedia": {"POST": _changed_by(NoParameters)},
}
"""The members of all sources, and what lies below them and is checked here."""
