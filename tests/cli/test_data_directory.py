import json
from pathlib import Path

import pytest

from taskfish.cli.data_directory import DataDirectory
from taskfish.errors import ConfigurationError


def test_directory_is_private(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    assert directory.path.stat().st_mode & 0o777 == 0o700


def test_directory_that_others_could_read_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    directory = DataDirectory(tmp_path)
    assert directory.path.stat().st_mode & 0o777 == 0o700


def test_lock_is_exclusive_and_ends(tmp_path: Path) -> None:
    with DataDirectory(tmp_path).locked():
        second = DataDirectory(tmp_path)
        with pytest.raises(ConfigurationError, match="--data-dir"):
            second.locked().__enter__()
    with DataDirectory(tmp_path).locked():
        pass


def test_secret_is_made_once(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    assert directory.secret("key", lambda: "first") == "first"
    assert directory.secret("key", lambda: "second") == "first"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_announcement_replaces_and_goes(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    for number in (1, 2):
        directory.announce({"number": number})
    assert json.loads((tmp_path / "ready.json").read_text()) == {"number": 2}
    assert (tmp_path / "ready.json").stat().st_mode & 0o777 == 0o600
    directory.withdraw()
    directory.withdraw()
    assert not list(tmp_path.iterdir())
