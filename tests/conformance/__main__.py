"""DMTF's validators against `taskfish dev --tls`: `make conformance`; exit 1 on a FAIL.

`ONLY="protocol service interop"` chooses among them. docs/conformance.md tells more.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conformance.verdict import TOOLS, verdict

ROOT = Path(__file__).parents[2]
RUN = ROOT.parent / "shared" / "conformance" / "run"
REPORTS = ROOT / ".conformance"
USER = "admin"
_FAIL = re.compile(r"^FAIL | - FAIL - ")
"""What a failure looks like in the protocol report and in the logs of the others."""


def main() -> int:
    """Run the validators and return the exit code: 0 without failures, 2 unable."""
    missing = list(_missing())
    if missing:
        sys.stderr.write(f"make conformance needs {', '.join(missing)}\n")
        return 2
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir()
    with tempfile.TemporaryDirectory(prefix="taskfish-conformance-") as data:
        printed = _run(Path(data))
        logs = Path(data) / "logs"
        if logs.exists():
            shutil.copytree(logs, REPORTS / "logs")
    return _judge(printed)


def _missing() -> list[str]:
    """Return what is not here of what the tools need, in words."""
    missing = []
    if os.geteuid() != 0:
        missing.append("root, for a network of its own")
    missing += [
        f"the command {name}"
        for name in ("unshare", "ip", "curl")
        if shutil.which(name) is None
    ]
    if not RUN.exists():
        missing.append(f"DMTF's tools and data at {RUN.relative_to(ROOT.parent)}")
    return missing


def _run(data: Path) -> list[str]:
    """Start the service and the tools in a network of their own; show their lines."""
    port = _free_port()
    password = secrets.token_hex(12)
    taskfish = Path(sys.executable).with_name("taskfish").relative_to(ROOT)
    server = f"{taskfish} dev --tls --port {port} --data-dir {data}"
    environment = os.environ | {
        "TASKFISH_ADMIN_USERNAME": USER,
        "TASKFISH_ADMIN_PASSWORD": password,
        # It is there once all parts answer and the systems are added.
        "READY": f"file://{data}/ready.json",
        "CA": str(data / "tls" / "ca.pem"),
    }
    url = f"https://127.0.0.1:{port}"
    command = [str(RUN), server, url, USER, password, str(REPORTS)]
    lines = []
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None, "it is a pipe"
        for line in running.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line.strip())
    return lines


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _judge(printed: list[str]) -> int:
    wanted = os.environ.get("ONLY", " ".join(TOOLS)).split()
    found = verdict(printed, wanted)
    if found.is_good:
        return 0
    sys.stderr.write(f"not conformant: {'; '.join(found.complaints)}\n")
    for report in (REPORTS / "protocol.txt", *sorted(REPORTS.glob("*/*/*Debug*.log"))):
        lines = report.read_text().splitlines() if report.exists() else []
        sys.stderr.writelines(f"{line}\n" for line in lines if _FAIL.search(line))
    sys.stderr.write(f"The reports are in {REPORTS.name}/.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
