"""A member of an aggregated collection, as the gateway keeps it (contracts.md 1)."""

from pydantic import BaseModel, ConfigDict

COLLECTIONS = (
    "Systems",
    "Chassis",
    "Managers",
    "UpdateService/FirmwareInventory",
    "UpdateService/SoftwareInventory",
)
"""The collections whose members are `{source}.{id}`, below /redfish/v1."""


class Member(BaseModel):
    """A member of a prefixed collection, with the source's own Id.

    `collection` is the path below /redfish/v1. `allowable_values` has every action of
    the resource, with its parameters' allowable values where the resource itself or
    its ActionInfo lists them.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    collection: str
    id: str
    uuid: str | None = None
    power_state: str | None = None
    allowable_values: dict[str, dict[str, list[str]]] = {}

    @property
    def name(self) -> str:
        """What the gateway calls it: `{source}.{id}`."""
        return f"{self.source}.{self.id}"

    @property
    def uri(self) -> str:
        """Where the gateway has it."""
        return f"/redfish/v1/{self.collection}/{self.name}"
