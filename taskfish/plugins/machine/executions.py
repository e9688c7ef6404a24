"""What a machine really carried out, and how busy it was: the proof of "once"."""

from dataclasses import dataclass
from datetime import datetime
from types import TracebackType

from pydantic import BaseModel, JsonValue


class Execution(BaseModel):
    """One change that a machine accepted; `outcome` follows what became of it."""

    machine: str
    method: str
    uri: str
    body: JsonValue = None
    at: datetime
    outcome: str = "accepted"


@dataclass
class Traffic:
    """Requests and connections of one target, counted.

    As a context manager it counts one request that is in progress.
    """

    connections: int = 0
    requests: int = 0
    current: int = 0
    peak_concurrency: int = 0

    def __enter__(self) -> "Traffic":
        self.requests += 1
        self.current += 1
        self.peak_concurrency = max(self.peak_concurrency, self.current)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.current -= 1

    def connect(self) -> None:
        """Count one accepted connection."""
        self.connections += 1

    def reset(self) -> None:
        """Count from zero again; what is in progress stays."""
        self.connections = 0
        self.requests = 0
        self.peak_concurrency = self.current
