"""Which events a subscriber asks for (EventDestination v1.16, filter properties)."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from taskfish.redfish.events import Event


class EventFilter(BaseModel):
    """What an event has to be to be sent; what is empty asks for nothing.

    A property asks for one of its values; an event has to satisfy all properties, of
    RegistryPrefixes and MessageIds one is enough, and none that excludes it may hold.
    `message_ids` are `Registry.Key` in any form, with or without a version. `origins`
    are URIs: of the resource itself, of the collection that it is in, or of what a task
    changes or a resource that this lies in; with `subordinate_resources`, of all that
    it lies in.
    """

    model_config = ConfigDict(frozen=True)

    registry_prefixes: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    exclude_registry_prefixes: tuple[str, ...] = ()
    exclude_message_ids: tuple[str, ...] = ()
    resource_types: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    subordinate_resources: bool = False
    severities: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def matches(self, event: Event) -> bool:
        """Say whether an event is one that was asked for."""
        name = short_message_id(event.message.message_id)
        prefix = name.partition(".")[0]
        if _has(self.exclude_registry_prefixes, prefix):
            return False
        if _has(map(short_message_id, self.exclude_message_ids), name):
            return False
        if self.registry_prefixes or self.message_ids:
            ids = map(short_message_id, self.message_ids)
            if not (_has(self.registry_prefixes, prefix) or _has(ids, name)):
                return False
        return (
            (not self.severities or event.message.severity in self.severities)
            and (not self.kinds or event.kind.value in self.kinds)
            and self._has_resource_type(event)
            and (not self.origins or any(self._is_of(event, at) for at in self.origins))
        )

    def _has_resource_type(self, event: Event) -> bool:
        wanted = (each.lstrip("#").partition(".")[0] for each in self.resource_types)
        return not self.resource_types or event.resource_type in wanted

    def _is_of(self, event: Event, wanted: str) -> bool:
        uri = wanted.rstrip("/")
        if event.origin == uri or event.origin.rpartition("/")[0] == uri:
            return True
        if self.subordinate_resources and event.origin.startswith(f"{uri}/"):
            return True
        return any(each == uri or each.startswith(f"{uri}/") for each in event.concerns)


def short_message_id(message_id: str) -> str:
    """Return `Registry.Key` of a message id, whatever versions stand between."""
    first, _, rest = message_id.partition(".")
    return f"{first}.{rest.rpartition('.')[2]}" if rest else first


def _has(values: Iterable[str], wanted: str) -> bool:
    return any(value == wanted for value in values)
