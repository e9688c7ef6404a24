"""A change as it came in, before it is a task."""

from dataclasses import dataclass, field

from pydantic import JsonValue

from api.request_headers import TaskWishes
from taskfish.plugins.protocol import ChangeMethod
from taskfish.redfish.inventory import Member


@dataclass(frozen=True)
class ChangeRequest:
    """A change as it came in: `uri` is northbound, `member` what it belongs to.

    `targets` are the members that it touches where it belongs to none.
    """

    method: ChangeMethod
    uri: str
    body: dict[str, JsonValue]
    source: str
    owner: str
    wishes: TaskWishes
    member: Member | None = None
    headers: dict[str, str] = field(default_factory=dict)
    targets: tuple[Member, ...] = ()

    @property
    def machines(self) -> tuple[str, ...]:
        """The URIs of the members that it touches."""
        touched = (self.member,) if self.member else self.targets
        return tuple(dict.fromkeys(member.uri for member in touched))
