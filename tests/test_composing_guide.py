"""The operations of the guide work as it says, and its test passes."""

import importlib
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from api import app, composite_actions
from tests.composing import STORAGE, VOLUME, resets, start
from tests.conftest import KEY
from tests.house import House
from tests.workflows.houses import BMC, bmc_house, until, words_of
from workflows.composition import REGISTERED

GUIDE = Path(__file__).parent.parent / "docs" / "composing-operations.md"
FILE = re.compile(r"^```python file=(\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MOST_LINES = 60
"""How much code the guide's first operation and its test may be."""


def files() -> dict[str, str]:
    """Return the guide's files, by their names."""
    return dict(FILE.findall(GUIDE.read_text()))


def forget_routes() -> None:
    """Let the next app have the routes that there are then."""
    app._routes.cache_clear()
    app._openapi.cache_clear()


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the guide's operations, as workflows/operations.py would."""
    monkeypatch.syspath_prepend(tmp_path)
    before, modules = set(REGISTERED), set(sys.modules)
    routes = dict(vars(composite_actions))
    for name, code in files().items():
        (tmp_path / name).write_text(code)
        if not name.startswith("test_"):
            importlib.import_module(name.removesuffix(".py"))
    importlib.reload(composite_actions)
    forget_routes()
    yield
    for name in set(REGISTERED) - before:
        del REGISTERED[name]
    for name in {each.removesuffix(".py") for each in files()} - modules:
        sys.modules.pop(name, None)
    # Not anew: the operations of other tests would get routes that they have not had.
    vars(composite_actions).update(routes)
    forget_routes()


@pytest.fixture
async def house(
    temporal: Client, tmp_path: Path, registered: None
) -> AsyncIterator[House]:
    async with bmc_house(temporal, tmp_path, KEY) as opened:
        yield opened


def test_first_operation_and_its_test_are_short() -> None:
    found = files()
    code = found["boot_once.py"] + found["test_boot_once.py"]
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) < MOST_LINES


@pytest.mark.parametrize(
    "name", ["test_system_restarts", "test_boot_override_is_taken_back"]
)
async def test_test_of_the_guide_passes(house: House, name: str) -> None:
    module: Any = {}
    exec(files()["test_boot_once.py"], module)
    await module[name](house)


async def prepare(house: House, **parameters: Any) -> httpx.Response:
    body = {"Storage": STORAGE, "Volume": VOLUME, "AssetTag": "rack 7"}
    return await start(house, "PrepareSystem", body | parameters)


async def volumes(house: House) -> int:
    found = (await house.client.get(f"{STORAGE}/Volumes")).json()
    return len(found["Members"])


async def test_operation_is_a_step(house: House) -> None:
    task = await house.ended(await prepare(house))
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    assert task["Links"]["CreatedResources"] == [{"@odata.id": f"{STORAGE}/Volumes/1"}]
    assert resets(house) == ["GracefulRestart"]
    assert (await house.client.get(BMC)).json()["AssetTag"] == "rack 7"


async def test_cancel_reaches_the_inner_operation(house: House) -> None:
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    accepted = await prepare(house)
    await until(lambda: resets(house))
    await house.client.delete(accepted.json()["@odata.id"])
    task = await house.ended(accepted)
    assert task["TaskState"] == "Cancelled", task
    assert await volumes(house) == 0
    assert resets(house) == ["GracefulRestart"]


async def test_what_the_inner_operation_has_made_is_undone(house: House) -> None:
    accepted = await prepare(house, PauseBefore=["name"])
    await house.until(accepted, "Suspended")
    assert await volumes(house) == 1
    await house.client.delete(accepted.json()["@odata.id"])
    task = await house.ended(accepted)
    assert task["TaskState"] == "Cancelled", task
    assert "The step volume was undone" in words_of(task)
    assert await volumes(house) == 0
