import asyncio
import re
import signal
import sys
import time
from asyncio.subprocess import Process
from pathlib import Path

from tests.cli.processes import descendants, environment, is_alive, until


async def start_demo(directory: Path) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "taskfish.cli.main",
        "demo",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment() | {"TMPDIR": str(directory)},
    )


async def test_demo_shows_progress_to_the_end(tmp_path: Path) -> None:
    began = time.monotonic()
    demo = await start_demo(tmp_path)
    output, _ = await demo.communicate()
    text = output.decode()
    assert demo.returncode == 0, text
    assert time.monotonic() - began < 60
    assert len(set(re.findall(r"(\d+) %", text))) >= 5
    assert re.search(r"^  create-volume +\d+ %  Pending$", text, re.MULTILINE)
    assert re.search(r"^  system-on +0 %  New$", text, re.MULTILINE)
    assert re.search(r"Made .*/Volumes/1: demo, RAID1", text)
    assert text.count("/namespaces/default/workflows/") == 1
    assert "curl -isu" in text
    assert not list(tmp_path.iterdir())


async def test_interrupted_demo_leaves_nothing(tmp_path: Path) -> None:
    demo = await start_demo(tmp_path)
    await until(lambda: len(descendants(demo.pid)) > 2, 20)
    children = descendants(demo.pid)
    demo.send_signal(signal.SIGINT)
    await asyncio.wait_for(demo.communicate(), 60)
    assert demo.returncode == 130
    assert not any(map(is_alive, children))
    assert not list(tmp_path.iterdir())


async def test_killed_demo_leaves_no_process(tmp_path: Path) -> None:
    demo = await start_demo(tmp_path)
    await until(lambda: len(descendants(demo.pid)) > 2, 20)
    children = descendants(demo.pid)
    demo.kill()
    await demo.communicate()
    await until(lambda: not any(map(is_alive, children)), 5)
