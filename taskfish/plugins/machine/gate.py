"""What modes do to the requests of one target, on their way in and out."""

import asyncio

from pydantic import JsonValue

from taskfish.plugins.machine.answers import DroppedConnectionError, refused_with
from taskfish.plugins.machine.executions import Traffic
from taskfish.plugins.machine.modes import Modes


class Gate:
    """The modes of one target, and the count of what passes."""

    def __init__(self, modes: Modes) -> None:
        self.modes = modes
        self.traffic = Traffic()

    def merge(self, changes: dict[str, JsonValue]) -> Modes:
        """Change some modes; ValidationError if they are none."""
        self.modes = self.modes.merged(changes)
        return self.modes

    def arrive(self) -> None:
        """Let a request in, unless the target has vanished."""
        if self.modes.vanish:
            raise DroppedConnectionError

    async def read(self) -> None:
        """Keep a GET back, or refuse it."""
        await asyncio.sleep(self.modes.read_delay)
        if self.modes.refuse_reads is not None:
            raise refused_with(self.modes.refuse_reads)

    def refuse_change(self) -> None:
        """Refuse a change before anything is done, while there are times left."""
        status, times = self.modes.refuse, self.modes.refuse_times
        if status is None or times == 0:
            return
        if times is not None:
            self.merge({"refuse_times": times - 1})
        raise refused_with(status)

    async def answer_abort(self) -> None:
        """Keep the answer of an abort back."""
        await asyncio.sleep(self.modes.abort_delay)

    async def answer_change(self) -> None:
        """Keep the answer of an accepted change back, or lose it."""
        await asyncio.sleep(self.modes.answer_delay)
        lose = self.modes.lose_answer
        if not lose:
            return
        if lose is not True:
            self.merge({"lose_answer": lose - 1})
        raise DroppedConnectionError
