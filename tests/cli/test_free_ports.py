import socket
from pathlib import Path

from taskfish.cli.free_ports import LOOPBACK, free_port, is_free, kept_ports


def test_ports_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = kept_ports(file, ["one", "two"])
    assert len(set(first.values())) == 2
    assert kept_ports(file, ["one", "two"]) == first


def test_ports_not_asked_for_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = kept_ports(file, ["one", "two"])
    kept_ports(file, ["one"])
    assert kept_ports(file, ["one", "two"]) == first


def test_taken_port_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = kept_ports(file, ["one"])["one"]
    with socket.create_server((LOOPBACK, first)):
        assert not is_free(first)
        assert kept_ports(file, ["one"])["one"] != first


def test_unreadable_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    file.write_text("{")
    assert is_free(kept_ports(file, ["one"])["one"])


def test_free_port_is_free() -> None:
    assert is_free(free_port())
