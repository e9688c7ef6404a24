"""DMTF's data, unpacked once."""

from pathlib import Path

import pytest

from tests.redfish.datapack import unpack


@pytest.fixture(scope="session")
def dmtf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder with `csdl` and `registries`."""
    return unpack(tmp_path_factory.mktemp("dmtf"))
