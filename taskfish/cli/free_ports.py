"""Loopback ports that stay the same from one start to the next."""

import json
import random
import socket
from collections.abc import Iterable
from pathlib import Path

LOOPBACK = "127.0.0.1"
CHOICE = range(20_000, 32_768)
"""Ports that no system uses for outgoing connections by itself."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on now.

    It is none of those that systems give to outgoing connections: such a one could be
    taken before the server that it is for listens.
    """
    return next(filter(is_free, random.sample(CHOICE, len(CHOICE))))


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket() as listener:
        # As servers do: a port whose connections are only being wound up is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def kept_ports(file: Path, names: Iterable[str]) -> dict[str, int]:
    """Return a free port for each name: the one it has in `file` if that is free.

    What was chosen is written back to the file.
    """
    earlier = _read(file)
    ports = {name: _choose(earlier.get(name)) for name in names}
    file.write_text(json.dumps(earlier | ports))
    return ports


def _read(file: Path) -> dict[str, int]:
    try:
        ports: dict[str, int] = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return ports


def _choose(earlier: int | None) -> int:
    return earlier if earlier and is_free(earlier) else free_port()
