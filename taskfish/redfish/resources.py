"""The gateway's own resources, as Redfish has them (schema bundle 2025.4).

A property that may be absent is left out when it is None.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_pascal

from taskfish.redfish.apply_time import MAINTENANCE_WINDOW, OPERATION_APPLY_TIME
from taskfish.redfish.links import ROOT
from taskfish.redfish.schema import SCHEMA

TASK_SERVICE = f"{ROOT}/TaskService"
TASKS = f"{TASK_SERVICE}/Tasks"
TASK_MONITORS = f"{TASK_SERVICE}/TaskMonitors"
WITH_TASKS = ("Systems", "Chassis", "Managers")
"""The collections whose members have a collection of their tasks."""
AGGREGATION_SERVICE = f"{ROOT}/AggregationService"
AGGREGATION_SOURCES = f"{AGGREGATION_SERVICE}/AggregationSources"
CONNECTION_METHODS = f"{AGGREGATION_SERVICE}/ConnectionMethods"
UPDATE_SERVICE = f"{ROOT}/UpdateService"
SIMPLE_UPDATE = f"{UPDATE_SERVICE}/Actions/UpdateService.SimpleUpdate"


def tasks_of(uri: str) -> str:
    """Return the URI of the tasks of a member and of all below it."""
    return f"{uri}/Oem/Taskfish/Tasks"


class RedfishModel(BaseModel):
    """PascalCase names on the wire; None is absence."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_pascal, populate_by_name=True
    )

    def to_json(self) -> dict[str, JsonValue]:
        """Return the Redfish form."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Link(RedfishModel):
    """A reference to a resource."""

    odata_id: str = Field(alias="@odata.id")


def link(uri: str) -> Link:
    """Return a reference to `uri`."""
    return Link(odata_id=uri)


def links(uris: Iterable[str]) -> list[Link]:
    """Return references to several resources."""
    return [link(uri) for uri in uris]


class Status(RedfishModel):
    """Resource.Status."""

    state: str = "Enabled"
    health: str = "OK"


class Resource(RedfishModel):
    """What every resource has."""

    odata_id: str = Field(alias="@odata.id")
    odata_type: str = Field(alias="@odata.type")
    id: str
    name: str


class Collection(RedfishModel):
    """A resource collection. Collections have no Id."""

    odata_id: str = Field(alias="@odata.id")
    odata_type: str = Field(alias="@odata.type")
    name: str
    members: list[Link]
    count: int = Field(alias="Members@odata.count")
    next_link: str | None = Field(default=None, alias="Members@odata.nextLink")


def collection(
    uri: str, kind: str, name: str, members: Iterable[str], *, count: int | None = None
) -> Collection:
    """Build a collection of `kind` (`ComputerSystemCollection`) from member URIs."""
    found = links(members)
    return Collection(
        odata_id=uri,
        odata_type=SCHEMA.odata_type(kind),
        name=name,
        members=found,
        count=len(found) if count is None else count,
    )


class ServiceRootLinks(RedfishModel):
    """ServiceRoot.Links."""

    manager_providing_service: Link
    sessions: Link


class ServiceRoot(Resource):
    """The root: what there is and what the service can do."""

    redfish_version: str
    uuid: str = Field(alias="UUID")
    product: str
    vendor: str
    protocol_features_supported: dict[str, Any]
    links: ServiceRootLinks
    registries: Link
    json_schemas: Link
    systems: Link
    chassis: Link
    managers: Link
    account_service: Link
    session_service: Link
    update_service: Link
    aggregation_service: Link
    tasks: Link
    event_service: Link


class Action(RedfishModel):
    """An action that takes no parameters."""

    target: str = Field(alias="target")


class DescribedAction(Action):
    """An action that says what to call it, and where its parameters are described."""

    title: str = Field(alias="title")
    action_info: str = Field(alias="@Redfish.ActionInfo")


def described_actions(uri: str, names: Iterable[str]) -> dict[str, DescribedAction]:
    """Return the Actions of the resource at a URI, with an ActionInfo below it each."""
    return {
        f"#{name}": DescribedAction(
            title=name.partition(".")[2],
            target=f"{uri}/Actions/{name}",
            action_info=f"{uri}/{name.partition('.')[2]}ActionInfo",
        )
        for name in names
    }


class TaskService(Resource):
    """TaskService v1.3.0. Times are minutes or seconds, as their names say."""

    odata_etag: str = Field(alias="@odata.etag")
    date_time: datetime
    completed_task_over_write_policy: str
    life_cycle_event_on_task_state_change: bool
    service_enabled: bool
    task_auto_delete_timeout_minutes: int
    task_monitor_auto_expiry_seconds: int
    status: Status
    tasks: Link
    actions: dict[str, Action | dict[str, DescribedAction]]
    maintenance_window: dict[str, JsonValue] | None = Field(
        default=None, alias="@Redfish.MaintenanceWindow"
    )


class AggregationService(Resource):
    """AggregationService v1.0.3."""

    service_enabled: bool
    status: Status
    aggregates: Link
    aggregation_sources: Link
    connection_methods: Link
    actions: dict[str, DescribedAction]


class ConnectionMethodLinks(RedfishModel):
    """ConnectionMethod.Links."""

    aggregation_sources: list[Link]


class ConnectionMethodResource(Resource):
    """ConnectionMethod v1.1: how sources are spoken to."""

    connection_method_type: str
    connection_method_variant: str
    links: ConnectionMethodLinks


class AggregationSourceLinks(RedfishModel):
    """AggregationSource.Links."""

    connection_method: Link
    resources_accessed: list[Link]


class AggregationSourceOptions(RedfishModel):
    """Oem.Taskfish of an AggregationSource (oem/Taskfish_v1.xml)."""

    odata_type: str = Field(
        default="#Taskfish.v1_0_0.AggregationSource", alias="@odata.type"
    )
    plugin: Link | None
    plugin_auth: str
    instances: tuple[str, ...]
    verify_certificate: bool
    ca_certificate: str | None = Field(alias="CACertificate")
    fingerprint: str | None
    max_concurrent_requests: int
    poll_seconds: float
    adopt_tasks: bool


class AggregationSourceOem(RedfishModel):
    """AggregationSource.Oem."""

    taskfish: AggregationSourceOptions


class AggregationSource(Resource):
    """AggregationSource v1.5.0. Its Password is always null in answers."""

    host_name: str
    user_name: str | None = None
    links: AggregationSourceLinks
    status: Status
    oem: AggregationSourceOem

    def to_json(self) -> dict[str, JsonValue]:
        """Return the Redfish form, with a null Password."""
        return {**super().to_json(), "UserName": self.user_name, "Password": None}


class SimpleUpdateAction(Action):
    """The action that updates firmware, and when it can be told to do so."""

    apply_time_support: dict[str, JsonValue] = Field(
        alias="@Redfish.OperationApplyTimeSupport"
    )


class UpdateService(Resource):
    """UpdateService v1.17, the gateway's own, over all sources."""

    service_enabled: bool
    status: Status
    firmware_inventory: Link
    software_inventory: Link
    actions: dict[str, SimpleUpdateAction]


class TaskPayload(RedfishModel):
    """Task.Payload: the request that started it, its secrets masked."""

    target_uri: str
    http_operation: str
    http_headers: list[str]
    json_body: str


class TaskLinks(RedfishModel):
    """Task.Links."""

    created_resources: list[Link]
    created_resources_count: int = Field(alias="CreatedResources@odata.count")


class TaskFacts(RedfishModel):
    """Oem.Taskfish of a Task (oem/Taskfish_v1.xml)."""

    odata_type: str = Field(default="#Taskfish.v1_0_0.Task", alias="@odata.type")
    expires_at: datetime | None = None
    state: str | None = None
    operation: str
    target_resource: str
    resource_type: str
    source: str
    owner: str | None = None
    tags: tuple[str, ...] | None = None
    request_id: str | None = None
    plugin_task_uri: str | None = None
    deadline: datetime | None = None
    workflow_uri: str | None = None


class TaskOem(RedfishModel):
    """Task.Oem."""

    taskfish: TaskFacts


class TaskAction(Action):
    """An action of a Task, and where its parameters are described."""

    action_info: str = Field(alias="@Redfish.ActionInfo")


class TaskActions(RedfishModel):
    """Task.Actions."""

    oem: dict[str, TaskAction]


class Task(Resource):
    """Task v1.7.4.

    One that is pending says for what it waits (DSP0266 7.12), as its request did; a
    step that has not begun has no StartTime.
    """

    task_state: str
    task_status: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    percent_complete: int | None = None
    task_monitor: str | None = None
    sub_tasks: Link | None = None
    hide_payload: bool
    payload: TaskPayload | None = None
    messages: list[dict[str, JsonValue]]
    links: TaskLinks | None = None
    actions: TaskActions | None = None
    operation_apply_time: JsonValue = Field(default=None, alias=OPERATION_APPLY_TIME)
    maintenance_window: JsonValue = Field(default=None, alias=MAINTENANCE_WINDOW)
    oem: TaskOem


class ActionInfo(Resource):
    """ActionInfo: which parameters an action takes."""

    parameters: list[dict[str, JsonValue]]
