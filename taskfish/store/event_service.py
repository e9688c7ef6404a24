"""What clients may change of the EventService, the same for every process."""

from taskfish.store.database import Store
from taskfish.store.kept_options import KeptOptions, Options


class EventServiceOptions(Options):
    """The EventService as it is set: disabled it sends nothing to anybody."""

    service_enabled: bool = True


class EventServiceSettings(KeptOptions[EventServiceOptions]):
    """The EventService's row."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, "event_service", EventServiceOptions())

    async def is_enabled(self) -> bool:
        """Say whether events are sent, as it was at most 2 seconds ago."""
        return (await self.read()).service_enabled
