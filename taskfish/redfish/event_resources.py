"""EventService and its subscriptions, as Redfish has them (bundle 2025.4)."""

from pydantic import Field, JsonValue

from taskfish.redfish.events import EVENT_SERVICE
from taskfish.redfish.resources import Action, Link, RedfishModel, Resource, Status

SUBSCRIPTIONS = f"{EVENT_SERVICE}/Subscriptions"
EVENT_STREAM = f"{EVENT_SERVICE}/SSE"
"""ServerSentEventUri."""
SUBMIT_TEST_EVENT = "EventService.SubmitTestEvent"
TEST_SUBSCRIPTION = "EventService.TestEventSubscription"
SUSPEND = "EventDestination.SuspendSubscription"
RESUME = "EventDestination.ResumeSubscription"
SSE_SCHEME = "redfish-sse"


class FilterPropertiesSupported(RedfishModel):
    """EventService.SSEFilterPropertiesSupported: what `$filter` may ask for."""

    event_format_type: bool = True
    message_id: bool = True
    metric_report_definition: bool = False
    origin_resource: bool = True
    registry_prefix: bool = True
    resource_type: bool = True
    subordinate_resources: bool = True


class EventService(Resource):
    """EventService v1.12."""

    odata_etag: str = Field(alias="@odata.etag")
    service_enabled: bool
    status: Status
    delivery_retry_attempts: int
    delivery_retry_interval_seconds: int
    event_format_types: list[str]
    registry_prefixes: list[str]
    resource_types: list[str]
    severities: list[str]
    exclude_message_id: bool = True
    exclude_registry_prefix: bool = True
    origin_resources_supported: bool = True
    subordinate_resources_supported: bool = True
    include_origin_of_condition_supported: bool = False
    sse_include_origin_of_condition_supported: bool = Field(
        default=False, alias="SSEIncludeOriginOfConditionSupported"
    )
    sse_filter_properties_supported: FilterPropertiesSupported = Field(
        default=FilterPropertiesSupported(), alias="SSEFilterPropertiesSupported"
    )
    server_sent_event_uri: str = EVENT_STREAM
    subscriptions: Link
    actions: dict[str, Action]


class EventDestination(Resource):
    """EventDestination v1.16. Its HttpHeaders are always empty in answers."""

    description: str | None = None
    destination: str
    context: str
    protocol: str
    subscription_type: str
    event_format_type: str
    status: Status
    delivery_retry_policy: str | None = None
    verify_certificate: bool | None = None
    registry_prefixes: tuple[str, ...] | None = None
    message_ids: tuple[str, ...] | None = None
    exclude_registry_prefixes: tuple[str, ...] | None = None
    exclude_message_ids: tuple[str, ...] | None = None
    resource_types: tuple[str, ...] | None = None
    severities: tuple[str, ...] | None = None
    event_types: tuple[str, ...] | None = None
    origin_resources: list[Link] | None = None
    origin_resources_count: int | None = Field(
        default=None, alias="OriginResources@odata.count"
    )
    subordinate_resources: bool | None = None
    send_heartbeat: bool | None = None
    heartbeat_interval_minutes: int | None = None
    actions: dict[str, Action] | None = None

    def to_json(self) -> dict[str, JsonValue]:
        """Return the Redfish form, with HttpHeaders that tell nothing."""
        return {**super().to_json(), "HttpHeaders": []}
