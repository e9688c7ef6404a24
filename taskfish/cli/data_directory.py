"""The directory in which `taskfish dev` keeps everything, for one run at a time."""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from taskfish.errors import ConfigurationError


class DataDirectory:
    """Its files are for their owner only."""

    def __init__(self, path: Path) -> None:
        """Make the directory if there is none; close one that is open to others."""
        self.path = path.absolute()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.stat().st_mode & 0o077:
            _close(self.path)

    @property
    def logs(self) -> Path:
        """Where each part writes its log."""
        return self.path / "logs"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; raise ConfigurationError when another process does."""
        # Written, not read: the lock ends with the process, whatever becomes of it.
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigurationError(
                    f"another `taskfish dev` is using {self.path}: "
                    "stop it, or choose another --data-dir"
                ) from error
            yield

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """Return the secret kept in a file, made by `make` when there is none yet."""
        file = self.path / name
        if not file.exists():
            write_privately(file, make())
        return file.read_text().strip()

    def announce(self, ready: dict[str, Any]) -> None:
        """Write ready.json, as a whole or not at all."""
        write_privately(self.path / "ready.json", json.dumps(ready, indent=2) + "\n")

    def withdraw(self) -> None:
        """Remove ready.json."""
        (self.path / "ready.json").unlink(missing_ok=True)


def _close(directory: Path) -> None:
    """Take a directory away from all but its owner, with what lies in it."""
    try:
        directory.chmod(0o700)
    except PermissionError as error:
        raise ConfigurationError(
            f"{directory} belongs to another user: choose another --data-dir"
        ) from error


def write_privately(file: Path, text: str) -> None:
    """Write a file for its owner only, as a whole or not at all."""
    draft = file.with_name(f".{file.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as output:
        output.write(text)
    draft.replace(file)
