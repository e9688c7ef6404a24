"""OpenStack's own clients of its Bare Metal API against the gateway's door: the real
command, ironicclient and openstacksdk.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import openstack
import pytest
from ironicclient.client import get_client

from tests.api.baremetal.ironic import (
    changed,
    new_node,
    until_states,
)
from tests.house import PASSWORD, USER, House
from tests.serving import served
from tests.workflows.houses import until_executed

pytestmark = pytest.mark.filterwarnings("ignore:::openstack")
COMMAND = Path(sys.executable).with_name("baremetal")


class Baremetal:
    """The command `baremetal`, with the login of an account or none."""

    def __init__(self, url: str, home: Path, **login: str) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "OS_ENDPOINT": f"{url}/baremetal",
            **login,
        }

    async def __call__(self, *words: str) -> tuple[int, str, str]:
        """Run it; return its exit code and what it has printed."""
        process = await asyncio.create_subprocess_exec(
            COMMAND,
            *words,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode or 0, said.decode(), complained.decode()

    async def told(self, *words: str) -> Any:
        """Run a command that shows something, and return what it shows."""
        code, said, complained = await self(*words, "-f", "json")
        assert code == 0, complained
        return json.loads(said)

    async def done(self, *words: str) -> None:
        """Run a command that succeeds without a word."""
        assert await self(*words) == (0, "", "")


@pytest.fixture
def baremetal(gateway_url: str, tmp_path: Path) -> Baremetal:
    """Give the command, logged in as the administrator."""
    login = {"OS_USERNAME": USER, "OS_PASSWORD": PASSWORD}
    return Baremetal(gateway_url, tmp_path, OS_AUTH_TYPE="http_basic", **login)


async def test_command_lists_and_shows_nodes(baremetal: Baremetal) -> None:
    listed = await baremetal.told("node", "list")
    assert [node["name"] for node in listed] == ["bmc1.1", "node1.1", "node2.1"]
    fields = ["--fields", "name", "power_state", "--limit", "2"]
    few = await baremetal.told("node", "list", *fields)
    assert set(few[0]) == {"name", "power_state"}
    assert len(few) == 2
    whole = await baremetal.told("node", "list", "--long")
    assert [node["driver"] for node in whole] == ["redfish", "odim", "odim"]
    shown = await baremetal.told("node", "show", listed[0]["uuid"])
    assert shown["name"] == "bmc1.1"
    assert "abort soft power off" in shown["supported_power_states"]


async def test_command_tells_of_everything_else(baremetal: Baremetal) -> None:
    rows = await baremetal.told("node", "validate", "bmc1.1")
    assert {"Interface": "power", "Result": True, "Reason": None} in rows
    assert await baremetal.told("node", "history", "list", "node2.1") is not None
    drivers = await baremetal.told("driver", "list")
    assert [driver["name"] for driver in drivers] == ["odim", "redfish"]
    (conductor,) = await baremetal.told("conductor", "list")
    assert conductor["alive"] is True
    code, _, complained = await baremetal("node", "show", "nope")
    assert code == 1
    assert "Node nope could not be found. (HTTP 404)" in complained


async def test_command_changes_power(house: House, baremetal: Baremetal) -> None:
    node = await new_node(house)
    for words, state in (
        (("power", "off", "--soft", "--power-timeout", "30"), "power off"),
        (("power", "on"), "power on"),
        (("reboot",), "power on"),
        (("reboot", "--soft"), "power on"),
        (("inject", "nmi"), "power on"),
        (("power", "off"), "power off"),
    ):
        await baremetal.done("node", *words, node)
        idle = {"target_power_state": None, "last_error": None}
        await until_states(house, node, power_state=state, **idle)
    asked = [each.body for each in house.emulator.executions("bmc1")]
    assert asked == [
        {"ResetType": kind}
        for kind in (
            *("GracefulShutdown", "On", "ForceRestart"),
            *("GracefulRestart", "Nmi", "ForceOff"),
        )
    ]


async def test_command_is_told_that_a_node_is_locked(
    house: House, baremetal: Baremetal
) -> None:
    node = await new_node(house)
    house.emulator.set_modes("bmc1", hang=True)
    await changed(house, node, "rebooting")
    once = ("--max-retries", "0")
    code, _, complained = await baremetal(*once, "node", "power", "on", node)
    assert code == 1
    assert "is locked by host taskfish" in complained
    assert "(HTTP 409)" in complained


async def test_command_needs_no_login_where_none_is_wanted(
    house: House, tmp_path: Path
) -> None:
    async with served(house, baremetal_auth="none") as url:
        command = Baremetal(url, tmp_path, OS_AUTH_TYPE="none")
        assert len(await command.told("node", "list")) == 3
        await command.done("node", "reboot", "bmc1.1")
    await until_executed(house)


async def test_wrong_password_is_told(gateway_url: str, tmp_path: Path) -> None:
    login = {"OS_USERNAME": USER, "OS_PASSWORD": "wrong-password"}
    command = Baremetal(gateway_url, tmp_path, OS_AUTH_TYPE="http_basic", **login)
    code, _, complained = await command("node", "list")
    assert code == 1
    assert "401" in complained


async def test_ironicclient_aborts_a_soft_power_off(
    house: House, gateway_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    node = await new_node(house)
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0.1)
    client = await asyncio.to_thread(_ironicclient, gateway_url)
    await asyncio.to_thread(client.node.set_power_state, node, "off", soft=True)
    await until_executed(house)
    abort = "abort soft power off"
    await asyncio.to_thread(client.node.set_power_state, node, abort)
    await until_states(house, node, power_state="error", target_power_state=None)
    found = await asyncio.to_thread(client.node.states, node)
    assert found.power_state == "error"
    assert "was aborted" in found.last_error


async def test_openstacksdk_aborts_a_soft_reboot(
    house: House, gateway_url: str
) -> None:
    node = await new_node(house)
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0.1)
    cloud = await asyncio.to_thread(_openstack, gateway_url)
    ask = cloud.set_node_power_state
    await asyncio.to_thread(ask, node, "soft rebooting")
    await until_executed(house)
    await asyncio.to_thread(ask, node, "abort soft rebooting")
    await until_states(house, node, power_state="error", target_power_state=None)
    await asyncio.to_thread(ask, node, "power off", wait=True, timeout=20)
    found = await asyncio.to_thread(cloud.get_node, node)
    assert (found.power_state, found.last_error) == ("power off", None)


def _ironicclient(url: str) -> Any:
    return get_client(
        "1",
        auth_type="http_basic",
        endpoint=f"{url}/baremetal",
        username=USER,
        password=PASSWORD,
        os_ironic_api_version="latest",
    )


def _openstack(url: str) -> Any:
    """Return the bare-metal part of a cloud, which asks for the versions at once."""
    cloud = openstack.connect(
        load_envvars=False,
        load_yaml_config=False,
        auth_type="http_basic",
        auth={"username": USER, "password": PASSWORD, "endpoint": f"{url}/baremetal"},
        baremetal_endpoint_override=f"{url}/baremetal",
    )
    return cloud.baremetal
