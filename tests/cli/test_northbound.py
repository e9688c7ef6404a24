"""The command's own client: whose certificate it trusts."""

from pathlib import Path

import httpx
import pytest

from taskfish.cli.northbound import gateway
from taskfish.errors import ConfigurationError
from tests.plugins.certificates import self_signed
from tests.plugins.scripted_service import ScriptedService, http, scripted

LOGIN = ("admin", "gatekeeper")


def answering(service: ScriptedService) -> ScriptedService:
    service.on("GET /redfish/v1", http(200, {}))
    return service


async def test_api_is_trusted_by_the_authority_given(tmp_path: Path) -> None:
    pem, tls = self_signed("127.0.0.1")
    ca = tmp_path / "ca.pem"
    ca.write_text(pem)
    async with scripted(tls) as service:
        answering(service)
        async with gateway(service.url, *LOGIN, ca) as client:
            assert (await client.get("/redfish/v1")).status_code == 200


async def test_api_is_trusted_by_the_authority_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, tls = self_signed("127.0.0.1")
    (tmp_path / "ca.pem").write_text(pem)
    monkeypatch.setenv("TASKFISH_CA", str(tmp_path / "ca.pem"))
    async with scripted(tls) as service:
        answering(service)
        async with gateway(service.url, *LOGIN) as client:
            assert (await client.get("/redfish/v1")).status_code == 200


async def test_unknown_authority_gets_no_password(tmp_path: Path) -> None:
    _, tls = self_signed("127.0.0.1")
    other, _ = self_signed("127.0.0.1")
    (tmp_path / "ca.pem").write_text(other)
    async with scripted(tls) as service:
        answering(service)
        for ca in (None, tmp_path / "ca.pem"):
            async with gateway(service.url, *LOGIN, ca) as client:
                with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY"):
                    await client.get("/redfish/v1")
        assert service.asked == []


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_file_that_is_no_authority_is_explained(
    tmp_path: Path, content: bytes | None
) -> None:
    ca = tmp_path / "ca.pem"
    if content is not None:
        ca.write_bytes(content)
    with pytest.raises(ConfigurationError, match="TASKFISH_CA .*ca.pem"):
        gateway("https://127.0.0.1", *LOGIN, ca)
