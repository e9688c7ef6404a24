"""`taskfish doctor`: what it finds wrong, and that it changes nothing."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic import SecretStr
from sqlalchemy import text
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from taskfish.cli.doctor import examine, show
from taskfish.cli.findings import Finding
from taskfish.cli.free_ports import free_port
from taskfish.encryption import Keyring, generate_key
from taskfish.store.database import Store, upgrade
from taskfish.store.secret_bodies import SecretBodies
from tests.cli.certificates import write_pair
from tests.cli.test_main import taskfish

KEY = generate_key()
WELL = [
    "store",
    "encryption keys",
    "Temporal",
    "access to Temporal",
    "search attributes",
    "retention",
    "HTTPS",
]


@pytest.fixture
async def environment(
    tmp_path: Path, temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Set up everything as it should be; return where the store's file is."""
    file = tmp_path / "taskfish.db"
    url = f"sqlite+aiosqlite:///{file}"
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TASKFISH_DATABASE_URL", url)
    monkeypatch.setenv("TASKFISH_ENCRYPTION_KEYS", KEY)
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    await upgrade(url)
    return file


async def found(check: str) -> Finding:
    (finding,) = [each for each in await examine() if each.check == check]
    return finding


async def keep_secret(file: Path, key: str) -> None:
    """Seal a value of the store with a key."""
    url, keyring = f"sqlite+aiosqlite:///{file}", Keyring([SecretStr(key)])
    store = Store(url, keyring)
    await SecretBodies(store).keep("x", "task")
    await store.close()


@pytest.mark.usefixtures("environment")
async def test_good_set_up_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    findings = await examine()
    assert [finding.check for finding in findings] == WELL
    assert {finding.level for finding in findings} == {"ok"}
    assert show(findings, as_json=False) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(WELL)


def test_command_says_what_to_mend_and_ends_with_1(tmp_path: Path) -> None:
    server = {"TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}
    url = f"sqlite+aiosqlite:///{tmp_path / 'none.db'}"
    answer = taskfish("doctor", TASKFISH_DATABASE_URL=url, **server)
    assert answer.returncode == 1
    for said in ("wrong   store: ", "→ Run `taskfish db upgrade`.", "wrong   Temporal"):
        assert said in answer.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("environment")
def test_json_is_for_programs() -> None:
    good = taskfish("doctor", "--json", **own_variables())
    bad = taskfish("doctor", "--json", **own_variables(), TASKFISH_MAX_SESSIONS="none")
    assert (good.returncode, bad.returncode) == (0, 1)
    assert json.loads(good.stdout)["ok"] is True
    assert [each["check"] for each in json.loads(good.stdout)["findings"]] == WELL
    (finding,) = json.loads(bad.stdout)["findings"]
    assert finding["level"] == "wrong"
    assert "TASKFISH_MAX_SESSIONS" in finding["text"]
    assert "docs/configuration.md" in finding["mend"]


def own_variables() -> dict[str, str]:
    """Return the variables that a command of a test is not given by itself."""
    names = ("TASKFISH_DATABASE_URL", "TASKFISH_ENCRYPTION_KEYS", "TEMPORAL_ADDRESS")
    return {name: os.environ[name] for name in names}


@pytest.mark.parametrize(
    ("revision", "mend"), [("0001", "taskfish db upgrade"), ("9999", "newer Taskfish")]
)
async def test_other_schema_is_wrong(
    environment: Path, revision: str, mend: str
) -> None:
    store = Store(f"sqlite+aiosqlite:///{environment}", Keyring([SecretStr(KEY)]))
    async with store.write() as connection:
        await connection.execute(
            text("UPDATE alembic_version SET version_num = :at"), {"at": revision}
        )
    await store.close()
    finding = await found("store")
    assert finding.level == "wrong"
    assert f"has schema {revision}" in finding.text
    assert mend in str(finding.mend)


@pytest.mark.parametrize(
    "url",
    [
        "nowhere",
        "sqlite+aiosqlite:////proc/taskfish.db",
        "postgresql+asyncpg://u:hush-hush@127.0.0.1:{port}/taskfish",
        "nosuchdatabase://u:hush-hush@127.0.0.1/taskfish",
    ],
)
@pytest.mark.usefixtures("environment")
async def test_store_out_of_reach_is_wrong(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKFISH_DATABASE_URL", url.format(port=free_port()))
    findings = await examine()
    store = findings[0]
    assert (store.check, store.level) == ("store", "wrong")
    assert "hush-hush" not in str(findings)


async def test_key_that_is_missing_is_named(environment: Path) -> None:
    lost = generate_key()
    await keep_secret(environment, KEY)
    assert (await found("encryption keys")).level == "ok"
    await keep_secret(environment, lost)
    await keep_secret(environment, lost)
    finding = await found("encryption keys")
    assert finding.level == "wrong"
    assert f"{Keyring([SecretStr(lost)]).first.hex()} (2 values)" in finding.text
    assert lost not in str(finding)


@pytest.mark.parametrize("keys", ["", "short"])
@pytest.mark.usefixtures("environment")
async def test_no_key_is_wrong(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKFISH_ENCRYPTION_KEYS", keys)
    assert (await found("encryption keys")).level == "wrong"


@pytest.mark.usefixtures("environment")
async def test_namespace_that_is_not_there_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "nowhere")
    finding = await found("namespace")
    assert finding.level == "wrong"
    assert "taskfish temporal setup" in str(finding.mend)


@pytest.mark.usefixtures("environment")
async def test_namespace_without_our_attributes_is_wrong(
    temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    retention = Duration()
    retention.FromTimedelta(timedelta(hours=24))
    await temporal.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace="bare", workflow_execution_retention_period=retention
        )
    )
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "bare")
    finding = await found("search attributes")
    assert finding.level == "wrong"
    assert "TaskOperation" in finding.text


@pytest.mark.parametrize(
    ("minutes", "policy", "level"),
    [
        ("4320", "Oldest", "ok"),
        ("4321", "Oldest", "wrong"),
        ("4321", "Manual", "ok"),
    ],
)
@pytest.mark.usefixtures("environment")
async def test_tasks_are_not_promised_for_longer_than_temporal_keeps_them(
    monkeypatch: pytest.MonkeyPatch, minutes: str, policy: str, level: str
) -> None:
    monkeypatch.setenv("TASKFISH_TASK_AUTO_DELETE_MINUTES", minutes)
    monkeypatch.setenv("TASKFISH_COMPLETED_TASK_OVERWRITE_POLICY", policy)
    finding = await found("retention")
    assert finding.level == level
    assert ("--retention-hours 73" in str(finding.mend)) is (level == "wrong")


@pytest.mark.parametrize(
    ("variables", "level"),
    [
        ({}, "wrong"),
        ({"TEMPORAL_TLS": "true"}, "wrong"),
        ({"TEMPORAL_API_KEY": "hush-hush"}, "ok"),
        ({"TEMPORAL_API_KEY": "hush-hush", "TEMPORAL_TLS": "false"}, "wrong"),
        ({"TEMPORAL_TLS_CLIENT_CERT_PATH": "server.pem"}, "ok"),
        (
            {"TEMPORAL_TLS": "true", "TEMPORAL_GRPC_META_AUTHORIZATION": "hush-hush"},
            "ok",
        ),
    ],
)
async def test_temporal_that_lets_in_everybody_is_wrong(
    environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    level: str,
) -> None:
    certificate, key = write_pair(environment.parent)
    files = {"server.pem": str(certificate)}
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.invalid:7233")
    for name, value in variables.items():
        monkeypatch.setenv(name, files.get(value, value))
        if value in files:
            monkeypatch.setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", str(key))
    findings = await examine()
    (access,) = [each for each in findings if each.check == "access to Temporal"]
    assert access.level == level
    assert "hush-hush" not in str(findings)


@pytest.mark.parametrize(
    ("end", "level"),
    [
        (timedelta(days=60), "ok"),
        (timedelta(days=20), "warning"),
        (timedelta(days=-1), "wrong"),
    ],
)
@pytest.mark.usefixtures("environment")
async def test_certificate_is_renewed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: timedelta, level: str
) -> None:
    certificate, key = write_pair(tmp_path, begin=timedelta(days=-2), end=end)
    monkeypatch.setenv("TASKFISH_TLS_CERT", str(certificate))
    monkeypatch.setenv("TASKFISH_TLS_KEY", str(key))
    assert (await found("HTTPS")).level == level


@pytest.mark.usefixtures("environment")
async def test_plain_http_for_all_is_a_warning_and_no_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TASKFISH_PLAIN_HTTP", "yes-without-encryption")
    findings = await examine()
    assert findings[-1].level == "warning"
    assert show(findings, as_json=False) == 0
    assert "warning HTTPS: TASKFISH_PLAIN_HTTP" in capsys.readouterr().out


@pytest.mark.usefixtures("environment")
async def test_bare_metal_without_login_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TASKFISH_BAREMETAL_AUTH", "none")
    finding = await found("bare metal")
    assert finding.level == "warning"
    assert "proxy" in finding.text
