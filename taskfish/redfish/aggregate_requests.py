"""What clients may send to the AggregationService about many machines at once."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from taskfish.redfish.action_parameters import OBJECT_TYPE
from taskfish.redfish.aggregate_resources import (
    ADD_ELEMENTS,
    BOOT_ORDER_OF_AGGREGATE,
    BOOT_ORDERS,
    REMOVE_ELEMENTS,
    RESET_AGGREGATE,
    RESET_MACHINES,
)
from taskfish.redfish.bulk import MOST_MACHINES
from taskfish.redfish.requests import PRINTABLE, IdRef, RequestBody, ResetType

LONGEST_DELAY = 7 * 86400
"""Seconds between two batches, at most."""
AGGREGATE_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$"


class MachineRef(IdRef):
    """A link to a machine."""

    model_config = ConfigDict(extra="forbid")


Machines = Annotated[
    list[MachineRef],
    Field(
        min_length=1,
        max_length=MOST_MACHINES,
        json_schema_extra={OBJECT_TYPE: "#Resource.Resource"},
    ),
]


class _Body(RequestBody):
    model_config = ConfigDict(extra="forbid")


class AggregateReset(_Body):
    """Parameters of Aggregate.Reset; without a BatchSize, or with 0, there is one
    batch.
    """

    reset_type: ResetType | None = None
    batch_size: int = Field(default=0, ge=0, le=MOST_MACHINES)
    delay: int = Field(
        default=0, alias="DelayBetweenBatchesInSeconds", ge=0, le=LONGEST_DELAY
    )


class MachinesReset(AggregateReset):
    """Parameters of AggregationService.Reset."""

    target_uris: Machines = Field(alias="TargetURIs")


class BootOrders(_Body):
    """Parameters of AggregationService.SetDefaultBootOrder."""

    systems: Machines


class Elements(_Body):
    """Parameters of Aggregate.AddElements and RemoveElements."""

    elements: Machines


class NoParameters(_Body):
    """The body of an action that takes no parameters; it may be left out."""


class NewAggregate(_Body):
    """POST to Aggregates."""

    id: Annotated[str, Field(pattern=AGGREGATE_ID)] | None = None
    name: (
        Annotated[str, Field(min_length=1, max_length=128, pattern=PRINTABLE)] | None
    ) = None
    elements: Annotated[list[MachineRef], Field(max_length=MOST_MACHINES)]


PARAMETERS: Mapping[str, type[BaseModel]] = {
    RESET_MACHINES: MachinesReset,
    BOOT_ORDERS: BootOrders,
    RESET_AGGREGATE: AggregateReset,
    BOOT_ORDER_OF_AGGREGATE: NoParameters,
    ADD_ELEMENTS: Elements,
    REMOVE_ELEMENTS: Elements,
}
"""Action → what it takes."""
