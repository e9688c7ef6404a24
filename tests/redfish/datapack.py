"""DMTF's schemas and registries: test data beside the checkout, never committed."""

import os
import tarfile
from pathlib import Path

import pytest

PACK = Path(__file__).parents[3] / "shared" / "conformance" / "redfish-data.tgz"


def unpack(folder: Path) -> Path:
    """Unpack the data and return where they are; skip where there are none.

    In CI they have to be there.
    """
    if not PACK.exists():
        assert "CI" not in os.environ, f"{PACK} has to be there in CI"
        pytest.skip("DMTF's schemas and registries are not beside this checkout")
    with tarfile.open(PACK) as pack:
        pack.extractall(folder, filter="data")
    return folder / "redfish-data"
