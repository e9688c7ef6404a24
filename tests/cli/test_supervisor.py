import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from taskfish.cli import supervisor
from taskfish.cli.supervisor import Part, PartFailedError, Supervisor
from tests.cli.processes import descendants, environment, is_alive, until

SLEEP = "import time; time.sleep(60)"


async def always(pid: int) -> bool:
    return True


def part(name: str, code: str, **variables: str) -> Part:
    variables_of_part: Mapping[str, str] = environment() | variables
    return Part(name, (sys.executable, "-c", code), variables_of_part, always)


async def test_killed_part_comes_back(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as parts:
        await parts.start(part("steady", SLEEP))
        await parts.start(part("mortal", SLEEP))
        before = parts.pids()
        os.kill(before["mortal"], signal.SIGKILL)
        await until(lambda: not parts.all_ready, 2)
        await until(lambda: parts.all_ready, 5)
        after = parts.pids()
    assert after["steady"] == before["steady"]
    assert after["mortal"] != before["mortal"]
    assert not any(map(is_alive, after.values()))


async def test_change_is_announced(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as parts:
        await parts.start(part("mortal", SLEEP))
        parts.changed.clear()
        os.kill(parts.pids()["mortal"], signal.SIGKILL)
        await asyncio.wait_for(parts.changed.wait(), 2)
        assert not parts.all_ready


async def test_part_that_dies_at_once_does_not_spin(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    code = f"open({str(starts)!r}, 'a').write('x')"
    async with Supervisor(tmp_path) as parts:
        await parts.start(part("short", code))
        await asyncio.sleep(2.5)
    assert 3 <= len(starts.read_text()) <= 5


async def test_log_is_appended(tmp_path: Path) -> None:
    (tmp_path / "speaker.log").write_text("earlier\n")
    async with Supervisor(tmp_path) as parts:
        await parts.start(part("speaker", f"print('now', flush=True); {SLEEP}"))
        await until(lambda: "now" in (tmp_path / "speaker.log").read_text(), 5)
    assert (tmp_path / "speaker.log").read_text() == "earlier\nnow\n"


async def test_huge_log_is_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOG_BYTES", 100)
    log = tmp_path / "silent.log"
    log.write_text("x" * 101)
    async with Supervisor(tmp_path) as parts:
        await parts.start(part("silent", SLEEP))
    assert log.read_text() == ""


async def test_failing_part_shows_its_log(tmp_path: Path) -> None:
    async def never(pid: int) -> bool:
        return False

    command = (sys.executable, "-c", "raise SystemExit('no such disk')")
    async with Supervisor(tmp_path) as parts:
        with pytest.raises(PartFailedError, match="store does not start(?s:.)*disk"):
            await parts.start(Part("store", command, environment(), never))


async def test_missing_program_fails(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as parts:
        with pytest.raises(PartFailedError, match="nothing does not start"):
            await parts.start(Part("nothing", ("/no/such/program",), {}, always))


async def test_part_that_is_never_ready_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(pid: int) -> bool:
        return False

    monkeypatch.setattr(supervisor, "START_SECONDS", 0.3)
    command = (sys.executable, "-c", SLEEP)
    async with Supervisor(tmp_path) as parts:
        with pytest.raises(PartFailedError, match="not ready"):
            await parts.start(Part("slow", command, environment(), never))
        pid = parts.pids()["slow"]
    assert not is_alive(pid)


SAY_END = """
import os, pathlib, signal, sys, time
def end(*_):
    with open(os.environ["ENDS"], "a") as ends:
        ends.write(os.environ["NAME"] + " ")
    sys.exit()
signal.signal(signal.SIGTERM, end)
pathlib.Path(os.environ["ENDS"] + os.environ["NAME"]).touch()
time.sleep(60)
"""


async def test_parts_stop_in_reverse_order(tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    async with Supervisor(tmp_path) as parts:
        for name in ("first", "second", "third"):
            await parts.start(part(name, SAY_END, ENDS=str(ends), NAME=name))
            await until((tmp_path / f"ends{name}").exists, 5)
    assert ends.read_text().split() == ["third", "second", "first"]


STUBBORN = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


async def test_stubborn_part_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_GRACE", 0.3)
    deaf = tmp_path / "deaf"
    command = (sys.executable, "-c", STUBBORN, str(deaf))
    async with Supervisor(tmp_path) as parts:
        await parts.start(Part("stubborn", command, environment(), always))
        await until(deaf.exists, 5)
        pid = parts.pids()["stubborn"]
    assert not is_alive(pid)


SUPERVISE = f"""
import asyncio, pathlib, sys
from taskfish.cli.signals import run_until_signal
from taskfish.cli.supervisor import Part, Supervisor

async def always(pid):
    return True

async def work(parts, directory):
    async with parts:
        for name in ("one", "two"):
            command = (sys.executable, "-c", {STUBBORN!r}, str(directory / name))
            await parts.start(Part(name, command, {{}}, always))
        await asyncio.Event().wait()

async def main():
    directory = pathlib.Path(sys.argv[1])
    parts = Supervisor(directory)
    await run_until_signal(work(parts, directory), parts.kill)

asyncio.run(main())
"""


async def supervised(directory: Path) -> asyncio.subprocess.Process:
    """Start a supervisor of two parts that ignore SIGTERM, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISE, str(directory), env=environment()
    )
    await until((directory / "one").exists, 10)
    await until((directory / "two").exists, 10)
    return process


async def test_killed_supervisor_leaves_nothing(tmp_path: Path) -> None:
    process = await supervised(tmp_path)
    children = descendants(process.pid)
    assert len(children) == 2
    process.kill()
    await process.wait()
    await until(lambda: not any(map(is_alive, children)), 5)


async def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    process = await supervised(tmp_path)
    children = descendants(process.pid)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    await asyncio.sleep(0.3)
    assert any(map(is_alive, children))
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0
    assert time.monotonic() - began < 5
    assert not any(map(is_alive, children))
