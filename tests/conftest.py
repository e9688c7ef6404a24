"""A real Temporal server for the session, a whole gateway for each test."""

import gc
import os
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from pydantic import SecretStr
from temporalio.client import Client

from api import logins
from taskfish.cli.temporal_server import development_server
from taskfish.encryption import Keyring, generate_key
from taskfish.temporal import data_converter
from tests.house import House, open_house

KEY = SecretStr(generate_key())
LONGEST_FIRST = ("chaos", "cli", "defects", "worker", "workflows", "clients", "tests")
"""Folders whose tests take seconds each: begun last, one of them would keep a process
busy long after the others had nothing left to do."""
_exit_codes: list[int] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST_FIRST)


def pytest_collection_finish() -> None:
    """Leave alone what stays anyway, thousands of tests and all modules: looking for
    garbage among it took one part in twenty-five of a run's time.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """Remember how the session ended."""
    _exit_codes.append(int(exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """End at once: a process that ran a Worker sometimes dies at its own exit.

    A process of pytest-xdist has still to tell its end, and dies unseen.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if _exit_codes and "PYTEST_XDIST_WORKER" not in os.environ:
        os._exit(_exit_codes[-1])


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """Have passwords hashed with argon2's least effort: the real one takes a fifth of a
    second of a core, some hundred times. Tests of the hashes themselves undo it.
    """
    with pytest.MonkeyPatch.context() as patch:
        cheap = partial(PasswordHasher.from_parameters, CHEAPEST)
        patch.setattr(logins, "PasswordHasher", cheap)
        yield


@pytest.fixture(scope="session")
async def temporal_address() -> AsyncIterator[str]:
    """Run one development server, with the settings of `taskfish dev`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOGC", "400")  # Memory is there, processors are not.
        async with development_server() as address:
            patch.undo()
            yield address


@pytest.fixture(scope="session")
async def temporal(temporal_address: str) -> Client:
    """Give a client with the encryption of the session."""
    return await Client.connect(
        temporal_address, data_converter=data_converter(Keyring([KEY]))
    )


@pytest.fixture(scope="session")
async def shared_house(
    temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Open the gateway that most tests use, one after the other."""
    folder = tmp_path_factory.mktemp("house")
    async with open_house(temporal, folder, KEY) as opened:
        yield opened


@pytest.fixture
async def house(shared_house: House) -> House:
    """Give a gateway with a worker over an emulator: node1, node2 and bmc1 added.

    It is as new: no open tasks, no modes, no volumes, nothing executed.
    """
    await shared_house.settle()
    return shared_house
