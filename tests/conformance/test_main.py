"""`make conformance` where its tools cannot run."""

import os
import subprocess
import sys

from tests.conformance.__main__ import ROOT


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run it with another environment."""
    return subprocess.run(
        [sys.executable, "-m", "tests.conformance"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_missing_tools_are_named(tmp_path: os.PathLike[str]) -> None:
    ended = run(PATH=os.fspath(tmp_path))
    assert ended.returncode == 2
    for name in ("unshare", "ip", "curl"):
        assert f"the command {name}" in ended.stderr
    assert "Traceback" not in ended.stderr
