"""The UUIDs by which nodes are known: each is one node's alone."""

import uuid
from collections import Counter
from collections.abc import Sequence

from taskfish.redfish.inventory import Member


def uuids_of(systems: Sequence[Member]) -> list[str]:
    """Return the UUID of each; one made of its URI where a System has none, or shares
    it with another: nobody is to be switched off in place of another.
    """
    own = [_own(system) for system in systems]
    times = Counter(own)
    return [
        found
        if found is not None and times[found] == 1
        else str(uuid.uuid5(uuid.NAMESPACE_URL, system.uri))
        for found, system in zip(own, systems, strict=True)
    ]


def _own(system: Member) -> str | None:
    try:
        return str(uuid.UUID(system.uuid or ""))
    except ValueError:
        return None
