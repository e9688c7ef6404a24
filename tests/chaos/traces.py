"""All that a task was seen to be, from the first reading to the last."""

from typing import Any

import httpx

FINAL = frozenset({"Completed", "Exception", "Cancelled", "Killed"})


class Trace:
    """What readings of one task showed. `wrong` has what must never be seen."""

    def __init__(self) -> None:
        self.task: dict[str, Any] = {}
        self.states: list[str] = []
        self.wrong: list[str] = []
        self.lost = False
        self._percent = 0

    @property
    def state(self) -> str:
        """The TaskState that was seen last, empty before the first reading."""
        return self.states[-1] if self.states else ""

    @property
    def ended(self) -> bool:
        """Whether it was seen in a final state."""
        return self.state in FINAL

    @property
    def words(self) -> str:
        """All that its Messages say."""
        return " ".join(
            f"{message['Message']} {message.get('Resolution', '')}"
            for message in self.task.get("Messages", [])
        )

    def note(self, answer: httpx.Response) -> None:
        """Note one reading: it must be there and go on from the one before."""
        if answer.status_code == 404:
            self.lost = True
        elif answer.status_code == 200:
            self._note(answer.json())
        elif answer.status_code != 503:
            self.wrong.append(f"read with {answer.status_code}: {answer.text[:300]}")

    def _note(self, task: dict[str, Any]) -> None:
        state, percent = task["TaskState"], task.get("PercentComplete") or 0
        # One that was killed keeps what was known when somebody killed it.
        if percent < self._percent and state != "Killed":
            self.wrong.append(f"from {self._percent} % back to {percent} %")
        if self.ended and state != self.state:
            self.wrong.append(f"{state} after {self.state}")
        if state != self.state:
            self.states.append(state)
        self._percent, self.task = percent, task
