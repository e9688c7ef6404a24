"""The node that a request is about, and its power as it is now."""

from fastapi import Depends, Request

from api.authentication import User
from api.baremetal.login import door_user
from api.baremetal.nodes import Node, node_called
from api.baremetal.places import NODES
from api.baremetal.power import Power, power_of
from api.baremetal.power_tasks import power_tasks, remembered_since
from api.baremetal.versions import version_of
from api.gateway import Gateway, gateway_of
from api.privileges import require_for

NODE = f"{NODES}/{{ident}}"


async def asked_node(
    request: Request,
    ident: str,
    user: User = Depends(door_user),
    gateway: Gateway = Depends(gateway_of),
) -> Node:
    """Return the node of the path; raise 404 for none, 403 for who may not read it."""
    node = await node_called(gateway, ident, version_of(request))
    require_for(user, "GET", node.member.uri)
    return node


async def asked_power(
    node: Node = Depends(asked_node),
    user: User = Depends(door_user),
    gateway: Gateway = Depends(gateway_of),
) -> Power:
    """Return the power of the node of the path: nothing of its tasks is missing."""
    tasks = await power_tasks(gateway, user, node.member.uri)
    return power_of(node.member, tasks, remembered_since(gateway))
