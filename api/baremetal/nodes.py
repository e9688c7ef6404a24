"""A node is a System: its name is the System's Id here, its UUID the System's own."""

from dataclasses import dataclass

from api.baremetal.node_uuids import uuids_of
from api.baremetal.power_targets import supported_targets
from api.baremetal.versions import NAMES
from api.errors import refuse
from api.gateway import Gateway
from taskfish.redfish.inventory import Member
from taskfish.redfish.sources import Source
from taskfish.store.sources import SourceRecord

SYSTEMS = "Systems"


@dataclass(frozen=True)
class Node:
    """A System, with its UUID in Ironic's form, and its source."""

    uuid: str
    member: Member
    record: SourceRecord

    @property
    def name(self) -> str:
        """What people call it."""
        return self.member.name

    @property
    def source(self) -> Source:
        """Where it is."""
        return self.record.source

    @property
    def driver(self) -> str:
        """Which protocol its source speaks."""
        return self.source.method.value.lower()

    @property
    def supported_power_states(self) -> list[str]:
        """What it may be asked to do."""
        return supported_targets(self.member, self.source)


async def all_nodes(gateway: Gateway) -> list[Node]:
    """Return all nodes, sorted by name; no source is asked."""
    members = await gateway.inventory.members(SYSTEMS)
    records = {record.source.id: record for record in await gateway.sources.ready()}
    return [
        Node(found, member, records[member.source])
        for found, member in zip(uuids_of(members), members, strict=True)
        if member.source in records
    ]


async def node_called(gateway: Gateway, ident: str, version: int) -> Node:
    """Return the node with this UUID or name; raise 404 if there is none."""
    members = await gateway.inventory.members(SYSTEMS)
    for found, member in zip(uuids_of(members), members, strict=True):
        by_name = version >= NAMES and member.name == ident
        if by_name or found == ident.lower():
            record = await gateway.sources.get(member.source)
            if record is not None:
                return Node(found, member, record)
    raise no_such_node(ident)


def no_such_node(ident: str) -> Exception:
    """Return the 404 for a node that is not there."""
    text = f"Node {ident[:255]} could not be found."
    return refuse("ResourceNotFound", "Node", ident[:255], text=text)
