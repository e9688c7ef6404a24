"""The tasks that a removed account leaves: nobody gets them with its name."""

from temporalio.client import Client

from activities.retention import TASKS_QUERY
from api.errors import refuse
from api.temporal_faults import TEMPORAL_FAULTS, unavailable
from api.temporal_queries import quoted
from taskfish.temporal import RPC_TIMEOUT


async def refuse_owner(client: Client, name: str) -> None:
    """Raise 409 for a name that owns tasks: they would be its new account's."""
    query = f"{TASKS_QUERY} AND TaskOwner = {quoted(name)}"
    try:
        found = await client.count_workflows(query, rpc_timeout=RPC_TIMEOUT)
    except TEMPORAL_FAULTS as error:
        raise unavailable(error) from error
    if found.count:
        raise refuse(
            "ResourceInUse",
            text=f"An earlier account {name} has left tasks ({found.count}), which are "
            "owned by that name.",
            resolution="Choose another UserName, remove those tasks, or wait until "
            "they are gone.",
        )
