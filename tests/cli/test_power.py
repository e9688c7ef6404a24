"""`taskfish power`: the bare-metal power API from a shell."""

import asyncio
import json
import subprocess
import sys

import pytest

from tests.api.baremetal.ironic import new_node, until_states
from tests.cli.processes import environment
from tests.house import PASSWORD, USER, House
from tests.serving import served
from tests.workflows.houses import until_executed

WORDS = {
    "off": "ForceOff",
    "reboot": "ForceRestart",
    "soft_reboot": "GracefulRestart",
    "soft_off": "GracefulShutdown",
    "inject_nmi": "Nmi",
}


async def power(
    url: str, *words: str, password: str = PASSWORD
) -> subprocess.CompletedProcess[str]:
    """Run the command with the login of an account."""
    login = {"TASKFISH_USERNAME": USER, "TASKFISH_PASSWORD": password}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "taskfish.cli.main", "power", *words],
        env=environment() | {"TASKFISH_URL": url} | login,
        capture_output=True,
        text=True,
    )


async def test_each_word_is_a_change(house: House) -> None:
    node, asked = await new_node(house), []
    async with served(house) as url:
        for word in WORDS:
            answer = await power(url, "set", node, word, "--json")
            assert answer.returncode == 0, answer.stderr
            said = json.loads(answer.stdout)
            assert said["node"] == node
            assert said["task"].startswith("ComputerSystem.Reset-")
            await until_states(house, node, target_power_state=None)
            asked += [each.body for each in house.emulator.executions("bmc1")]
            house.emulator.renew()
    assert asked == [{"ResetType": kind} for kind in WORDS.values()]


@pytest.mark.parametrize(
    ("word", "abort"),
    [
        ("soft_off", "abort_soft_off"),
        ("soft_reboot", "abort_soft_reboot"),
        ("inject_nmi", "abort_inject_nmi"),
    ],
)
async def test_aborts_end_what_hangs(house: House, word: str, abort: str) -> None:
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0.1)
    async with served(house) as url:
        node = await new_node(house)
        idle = await power(url, "set", node, abort)
        assert idle.stdout.endswith(", nothing to do\n")
        begun = await power(url, "set", node, word, "--timeout", "60")
        assert begun.returncode == 0, begun.stderr
        await until_executed(house)
        ended = await power(url, "set", node, abort)
        assert "task ComputerSystem.Reset-" in ended.stdout
        await until_states(house, node, power_state="error", target_power_state=None)
        table = (await power(url, "states", node)).stdout
        assert "power_state" in table
        assert "was aborted" in table
        states = json.loads((await power(url, "states", node, "--json")).stdout)
        assert states["power_state"] == "error"


async def test_what_is_refused_is_one_sentence(house: House) -> None:
    async with served(house) as url:
        for words, said in (
            (("states", "nope"), "Node nope could not be found. (HTTP 404)"),
            (("states", "a/b"), "(HTTP 404)"),
        ):
            answer = await power(url, *words)
            assert answer.returncode == 2
            assert said in answer.stderr
            assert answer.stderr.startswith("taskfish: ")
            assert answer.stderr.count("\n") == 1
        answer = await power(url, "states", "bmc1.1", password="wrong-password")
        assert "(HTTP 401)" in answer.stderr
    answer = await power(url, "states", "bmc1.1")
    assert "check TASKFISH_URL" in answer.stderr
