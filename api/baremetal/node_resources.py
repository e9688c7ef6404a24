"""Nodes and their states as Ironic's clients read them."""

from collections.abc import Collection
from typing import Any

from fastapi import Request

from api.baremetal.nodes import Node
from api.baremetal.places import CONDUCTOR, NODES, links
from api.baremetal.power import Power

Json = dict[str, Any]

LISTED = (
    *("uuid", "instance_uuid", "maintenance", "power_state", "provision_state"),
    *("name", "links"),
)
"""The fields of a node in a list that asks for no others."""
PROVISION_STATE = "manageable"
"""What every node is: its power is managed, and nothing is deployed on it."""
_ALWAYS: Json = {
    "instance_uuid": None,
    "maintenance": False,
    "maintenance_reason": None,
    "fault": None,
    "provision_state": PROVISION_STATE,
    "target_provision_state": None,
    "provision_updated_at": None,
    "console_enabled": False,
    "chassis_uuid": None,
    "resource_class": None,
    "instance_info": {},
    "driver_internal_info": {},
    "properties": {},
    "extra": {},
    "traits": [],
    "description": None,
    "owner": None,
    "protected": False,
    "disable_power_off": False,
    "boot_mode": None,
    "secure_boot": None,
    "conductor": CONDUCTOR,
    "conductor_group": "",
}


def node_resource(request: Request, node: Node, power: Power) -> Json:
    """Return a node with all its fields."""
    return {
        "uuid": node.uuid,
        "name": node.name,
        **power_resource(node, power),
        **_ALWAYS,
        "reservation": CONDUCTOR if power.target else None,
        "driver": node.driver,
        "driver_info": {"redfish_system_id": node.member.uri},
        "power_interface": node.driver,
        "management_interface": node.driver,
        "created_at": node.record.created_at.isoformat(),
        "updated_at": None,
        "links": links(request, f"{NODES}/{node.uuid}"),
        "states": links(request, f"{NODES}/{node.uuid}/states"),
    }


def states_resource(node: Node, power: Power) -> Json:
    """Return the states of a node."""
    names = ("console_enabled", "provision_state", "target_provision_state")
    later = ("provision_updated_at", "boot_mode", "secure_boot")
    return {
        **power_resource(node, power),
        **{name: _ALWAYS[name] for name in (*names, *later)},
        "raid_config": {},
        "target_raid_config": {},
    }


def power_resource(node: Node, power: Power) -> Json:
    """Return what is told of a node's power."""
    return {
        "power_state": power.state,
        "target_power_state": power.target,
        "last_error": power.last_error,
        "supported_power_states": node.supported_power_states,
    }


def only(fields: Collection[str], resource: Json) -> Json:
    """Return these fields of a node, in their own order."""
    return {name: value for name, value in resource.items() if name in fields}


NODE_FIELDS = frozenset(
    {
        *_ALWAYS,
        *("uuid", "name", "power_state", "target_power_state", "last_error"),
        *("supported_power_states", "reservation", "driver", "driver_info"),
        *("power_interface", "management_interface", "created_at", "updated_at"),
        *("links", "states"),
    }
)
"""What may be asked for in `fields`."""
