"""What `taskfish doctor` finds, one thing at a time."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Level = Literal["ok", "warning", "wrong"]


class Finding(BaseModel):
    """One thing that was looked at: how it is, and what mends it unless it is well."""

    model_config = ConfigDict(frozen=True)

    check: str
    level: Level
    text: str
    mend: str | None = None


def well(check: str, text: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(check=check, level="ok", text=text)


def doubtful(check: str, text: str, mend: str) -> Finding:
    """Return what works, and may not be meant so."""
    return Finding(check=check, level="warning", text=text, mend=mend)


def wrong(check: str, text: str, mend: str) -> Finding:
    """Return what does not work, or lets somebody in."""
    return Finding(check=check, level="wrong", text=text, mend=mend)
