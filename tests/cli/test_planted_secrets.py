"""No secret of a whole run is found in what the run leaves behind (D10)."""

import base64
import os
import secrets
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.cli.processes import until
from tests.cli.running_dev import Running, start
from tests.cli.test_dev import until_ended
from tests.echoing_bmc import echoing

ROOT = "/redfish/v1"
SOURCES = f"{ROOT}/AggregationService/AggregationSources"
METHOD = f"{ROOT}/AggregationService/ConnectionMethods/Redfish"
MARK = "planted-in-clear"
"""A tag, which is clear text: the search finds what is there."""
UNKNOWN = ("motto", "repeated motto")
"""Planted where nobody can tell a secret: clients see it, Temporal does not."""
HOMES = ("ready.json", "admin-password", "encryption-keys", "tls")
"""Where the run's own secrets are meant to be."""
SHOWN = {"output": ["administrator"]}
"""What is told to who has started the run: the password of the administrator."""


@dataclass
class Run:
    """What was planted, what clients read, and where all was kept."""

    directory: Path
    planted: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)

    def plant(self, name: str) -> str:
        """Return a new secret."""
        secret = f"Plant-{name}-{secrets.token_hex(8)}".replace(" ", "-")
        self.planted[name] = secret
        return secret

    async def note(self, response: httpx.Response) -> None:
        """Keep what a client was answered."""
        await response.aread()
        self.answers.append(response.text)

    def traces(self, *names: str) -> dict[str, list[str]]:
        """Return file → secrets that are in it, in clear or in Base64."""
        found: dict[str, list[str]] = {}
        for file in sorted(self.directory.rglob("*")):
            if not file.is_file() or file.relative_to(self.directory).parts[0] in HOMES:
                continue
            content = file.read_bytes()
            here = [name for name in names if _occurs(self.planted[name], content)]
            if here:
                found[file.name] = here
        return found


def _occurs(secret: str, content: bytes) -> bool:
    """Whether a secret is there, also inside of something in Base64."""
    raw = secret.encode()
    forms = [base64.b64encode(b"x" * shift + raw)[4:-4] for shift in range(3)]
    return any(form in content for form in (raw, *forms))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    """Give a run that has ended, after all that could spill a secret."""
    directory = tmp_path_factory.mktemp("planted")
    run = Run(directory)
    options = ("--systems", "0", "--bmcs", "1")
    times = {"TASKFISH_HEARTBEAT_TIMEOUT": "2", "TASKFISH_SUBMIT_DEADLINE": "5"}
    dev = await start(directory, *options, **times)
    try:
        ready = await dev.until_ready()
        login = (ready["username"], ready["password"])
        hooks = {"response": [run.note]}
        async with httpx.AsyncClient(
            base_url=ready["api"], auth=login, event_hooks=hooks, timeout=30
        ) as client:
            await _log_in(run, client)
            await _change_secretly(run, dev, client)
            await _compose_secretly(run, client)
            await _be_echoed(run, client)
    finally:
        await dev.stop()
    keys = (directory / "encryption-keys").read_text().strip()
    run.planted |= {"key": keys, "administrator": ready["password"]}
    yield run


async def _log_in(run: Run, client: httpx.AsyncClient) -> None:
    """Make an account, log in with a right and a wrong password, use the codec."""
    password = run.plant("account")
    body = {"UserName": "ops", "Password": password, "RoleId": "Operator"}
    made = await client.post(f"{ROOT}/AccountService/Accounts", json=body)
    assert made.status_code == 201
    wrong = {"UserName": "ops", "Password": run.plant("wrong")}
    assert (await _opened(client, wrong)).status_code == 401
    right = {"UserName": "ops", "Password": password}
    opened = await _opened(client, right)
    assert opened.status_code == 201
    run.planted["token"] = opened.headers["X-Auth-Token"]
    bad = {"Password": [run.plant("malformed")], "RoleId": "Operator"}
    assert (await client.post(f"{ROOT}/AccountService/Accounts", json=bad)).is_error
    form = {"user": "ops", "password": password}
    page = await client.post(
        "/codec/login", data=form, headers={"Origin": str(client.base_url).rstrip("/")}
    )
    assert page.status_code == 303
    run.planted["cookie"] = next(iter(client.cookies.values()))
    client.cookies.clear()


async def _opened(client: httpx.AsyncClient, login: dict[str, str]) -> httpx.Response:
    """Try to open a session."""
    sessions = f"{ROOT}/SessionService/Sessions"
    return await client.send(
        client.build_request("POST", sessions, json=login), auth=None
    )


async def _change_secretly(run: Run, dev: Running, client: httpx.AsyncClient) -> None:
    """Change with secrets; kill the worker in between, and terminate a task."""
    emulator = (await dev.until_ready())["emulator"]
    motto = run.plant("motto")
    await _ended(
        client, await _patch_bios(client, "bmc1", run.plant("attribute"), motto)
    )
    uri = f"{ROOT}/Managers/bmc1.1/RemoteAccountService/Accounts"
    body = {"UserName": "new", "Password": run.plant("remote"), "RoleId": "ReadOnly"}
    assert (await client.post(uri, json=body)).is_success
    image = f"https://user:{run.plant('url')}@127.0.0.1/fw.bin?sig={run.plant('sig')}"
    update = f"{ROOT}/UpdateService/Actions/UpdateService.SimpleUpdate"
    firmware = f"{ROOT}/UpdateService/FirmwareInventory/bmc1.BMC"
    asked = {"ImageURI": image, "Targets": [firmware], "Password": run.plant("update")}
    assert (await client.post(update, json=asked)).status_code < 500
    modes = f"{emulator}/emulator/modes/bmc1"
    async with httpx.AsyncClient() as outside:
        await outside.put(modes, json={"seconds": 4})
        accepted = await _patch_bios(client, "bmc1", run.plant("crash"))
        os.kill((await dev.until_ready())["pids"]["worker"], signal.SIGKILL)
        await until(lambda: not dev.ready_file.exists(), 5)
        await dev.until_ready()
        await _ended(client, accepted)
        await outside.put(modes, json={"hang": True})
        hanging = await _patch_bios(client, "bmc1", run.plant("killed"))
        task = hanging.json()["@odata.id"]
        await client.post(f"{task}/Actions/Oem/Taskfish.Kill", json={})
        await _ended(client, hanging)


async def _compose_secretly(run: Run, client: httpx.AsyncClient) -> None:
    """Have secrets in the steps of a plan, in one that never begins, and of an
    operation inside it.
    """
    system = f"{ROOT}/Systems/bmc1.1"
    steps = [
        {
            "Name": name,
            "Method": "PATCH",
            "Uri": f"{system}/Bios/Settings",
            "Body": {"Attributes": {"SetupPwd": run.plant(name)}},
        }
        for name in ("begun", "unbegun")
    ]
    volume = {"RAIDType": "RAID0", "EncryptionPassphrase": run.plant("volume")}
    nested = {
        "Name": "nested",
        "Method": "POST",
        "Uri": f"{system}/Actions/Oem/Taskfish.CreateVolumeAndReset",
        "Body": {"Storage": f"{system}/Storage/none", "Volume": volume},
    }
    accepted = await client.post(
        f"{ROOT}/TaskService/Actions/Oem/Taskfish.RunPlan",
        json={"Steps": [steps[0], nested, steps[1]]},
    )
    assert accepted.status_code == 202, accepted.text
    assert (await _ended(client, accepted))["TaskState"] == "Exception"


async def _be_echoed(run: Run, client: httpx.AsyncClient) -> None:
    """Add a source that repeats what it is sent, and be refused by it."""
    host = (await client.get(f"{SOURCES}/bmc1")).json()["HostName"]
    async with echoing(host) as url:
        body = {
            "Id": "echo",
            "HostName": url,
            "UserName": "admin",
            "Password": run.plant("source"),
            "Links": {"ConnectionMethod": {"@odata.id": METHOD}},
            "Oem": {"Taskfish": {"PollSeconds": 0.1}},
        }
        await _ended(client, await client.post(SOURCES, json=body))
        change = {"Password": run.plant("source2"), "UserName": "admin"}
        assert (await client.patch(f"{SOURCES}/echo", json=change)).is_success
        motto = run.plant("repeated motto")
        task = await _ended(
            client, await _patch_bios(client, "echo", run.plant("echo"), motto)
        )
        assert task["TaskState"] == "Exception"
        assert "is refused" in str(task["Messages"])
        uri = f"{ROOT}/Managers/echo.1/RemoteAccountService/Accounts"
        body = {"UserName": "n", "Password": run.plant("refused"), "RoleId": "ReadOnly"}
        refused = await client.post(uri, json=body, headers={"Prefer": "wait=20"})
        assert refused.status_code == 400
        await client.delete(f"{SOURCES}/echo")


async def _patch_bios(
    client: httpx.AsyncClient, machine: str, secret: str, motto: str = "none"
) -> httpx.Response:
    accepted = await client.patch(
        f"{ROOT}/Systems/{machine}.1/Bios/Settings",
        json={"Attributes": {"SetupPwd": secret, "Motto": motto}},
        headers={"Prefer": "respond-async, wait=0", "Task-Tags": MARK},
    )
    assert accepted.status_code == 202, accepted.text
    return accepted


async def _ended(client: httpx.AsyncClient, accepted: httpx.Response) -> dict[str, Any]:
    return await until_ended(client, accepted.json()["@odata.id"])


async def test_no_file_has_a_planted_secret(run: Run) -> None:
    assert len(run.planted) >= 15
    assert run.traces(*run.planted) == SHOWN


async def test_search_finds_what_is_clear_text(run: Run) -> None:
    run.planted["mark"] = MARK
    found = run.traces("mark")
    del run.planted["mark"]
    assert any(name.startswith("temporal.db") for name in found)


async def test_no_answer_repeats_a_planted_secret(run: Run) -> None:
    said = "\n".join(run.answers)
    shown = {name for name, secret in run.planted.items() if secret in said}
    assert shown == set(UNKNOWN)
