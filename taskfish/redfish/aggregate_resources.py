"""Aggregates, as Redfish has them (Aggregate v1.0.3, bundle 2025.4)."""

from taskfish.redfish.resources import (
    AGGREGATION_SERVICE,
    DescribedAction,
    Link,
    Resource,
)

AGGREGATES = f"{AGGREGATION_SERVICE}/Aggregates"
ADD_ELEMENTS, REMOVE_ELEMENTS = "Aggregate.AddElements", "Aggregate.RemoveElements"
RESET_AGGREGATE = "Aggregate.Reset"
BOOT_ORDER_OF_AGGREGATE = "Aggregate.SetDefaultBootOrder"
RESET_MACHINES = "AggregationService.Reset"
BOOT_ORDERS = "AggregationService.SetDefaultBootOrder"
AGGREGATE_ACTIONS = (
    RESET_AGGREGATE,
    BOOT_ORDER_OF_AGGREGATE,
    ADD_ELEMENTS,
    REMOVE_ELEMENTS,
)
SERVICE_ACTIONS = (RESET_MACHINES, BOOT_ORDERS)


class Aggregate(Resource):
    """A group of systems, chassis and managers that has a name."""

    elements: list[Link]
    elements_count: int
    actions: dict[str, DescribedAction]


def aggregate_uri(aggregate_id: str) -> str:
    """Return the URI of an Aggregate."""
    return f"{AGGREGATES}/{aggregate_id}"
