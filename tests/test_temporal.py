"""How Temporal is connected to: TEMPORAL_* variables and profiles arrive, TLS too."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.exceptions import ApplicationError
from temporalio.service import TLSConfig

from taskfish.cli.local_authority import Tls, local_tls
from taskfish.encryption import Keyring
from taskfish.errors import ConfigurationError, TemporalUnavailableError
from taskfish.temporal import connect, connect_options, data_converter
from tests.cli.certificates import write_pair
from tests.conftest import KEY


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without variables and profiles of this machine."""
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", os.devnull)


@asynccontextmanager
async def behind_tls(address: str, context: ssl.SSLContext) -> AsyncIterator[str]:
    """Give the address of a proxy that ends TLS in front of a Temporal server."""
    host, _, port = address.partition(":")
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        behind, front = await asyncio.open_connection(host, int(port))
        pumps = [
            asyncio.create_task(pump(reader, front)),
            asyncio.create_task(pump(behind, writer)),
        ]
        tasks.update(pumps)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in pumps:
                task.cancel()
            front.close()
            writer.close()

    context.set_alpn_protocols(["h2"])
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()


def tls_server(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    return context


async def namespace_described() -> bool:
    """Connect as the environment says and ask the server something."""
    client = await connect(Keyring([KEY]))
    answer = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    return answer.namespace_info.name == client.namespace


def test_without_variables_it_is_this_machine() -> None:
    assert connect_options() == {"target_host": "localhost:7233"}


def test_address_namespace_and_key_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "gateway")
    monkeypatch.setenv("TEMPORAL_API_KEY", "s3cret")
    options = connect_options()
    assert options["target_host"] == "temporal.example:7233"
    assert options["namespace"] == "gateway"
    assert options["api_key"] == "s3cret"
    assert options["tls"]


def test_tls_with_a_certificate_of_our_own_arrives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate, key = write_pair(tmp_path)
    monkeypatch.setenv("TEMPORAL_TLS", "true")
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", str(certificate))
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", str(key))
    monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(certificate))
    monkeypatch.setenv("TEMPORAL_TLS_SERVER_NAME", "temporal.example")
    tls = connect_options()["tls"]
    assert isinstance(tls, TLSConfig)
    assert tls.client_cert == tls.server_root_ca_cert == certificate.read_bytes()
    assert tls.client_private_key == key.read_bytes()
    assert tls.domain == "temporal.example"


def test_profile_of_a_file_arrives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.site]\naddress = "temporal.example:1"\napi_key = "k"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    monkeypatch.setenv("TEMPORAL_PROFILE", "site")
    options = connect_options()
    assert (options["target_host"], options["api_key"]) == ("temporal.example:1", "k")


def test_missing_certificate_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nowhere.pem")
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", "/nowhere.key")
    with pytest.raises(ConfigurationError, match="TEMPORAL_.*nowhere"):
        connect_options()


def test_missing_profile_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PROFILE", "site")
    with pytest.raises(ConfigurationError, match="'site' not found"):
        connect_options()


def test_broken_profile_is_explained_without_its_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.default]\napi_key = "s3cret\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    with pytest.raises(ConfigurationError, match="line 2") as raised:
        connect_options()
    assert "s3cret" not in str(raised.value)
    assert raised.value.__suppress_context__


async def test_temporal_is_spoken_to_over_tls(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls = local_tls(tmp_path)
    async with behind_tls(temporal_address, tls_server(tls)) as address:
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        monkeypatch.setenv("TEMPORAL_API_KEY", "s3cret")
        monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(tls.ca))
        assert await namespace_described()


async def test_temporal_with_an_unknown_authority_is_not_spoken_to(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls, other = local_tls(tmp_path / "one"), local_tls(tmp_path / "two")
    async with behind_tls(temporal_address, tls_server(tls)) as address:
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(other.ca))
        with pytest.raises(TemporalUnavailableError, match="TEMPORAL_TLS"):
            await namespace_described()


async def test_temporal_that_asks_for_a_certificate_gets_ours(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls = local_tls(tmp_path)
    certificate, key = write_pair(tmp_path, "client")
    context = tls_server(tls)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate)
    async with behind_tls(temporal_address, context) as address:
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(tls.ca))
        with pytest.raises(TemporalUnavailableError):
            await namespace_described()
        monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", str(certificate))
        monkeypatch.setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", str(key))
        assert await namespace_described()


def raised(depth: int) -> RuntimeError:
    """Return an error with so many causes, each raised through some frames."""

    def fall(frames: int) -> None:
        if frames:
            fall(frames - 1)
        raise ValueError("y" * 200)

    error = RuntimeError("first words")
    try:
        fall(20)
    except ValueError as cause:
        error.__cause__ = cause
        for _ in range(depth):
            above = RuntimeError("first words")
            above.__cause__, error = error, above
    return error


@pytest.mark.parametrize("depth", [0, 1, 5])
@pytest.mark.parametrize(
    "words", ["first words", "first words " * 500, f"first words {'語' * 2000}"]
)
async def test_failure_says_what_it_is_within_what_temporal_shows(
    words: str, depth: int
) -> None:
    converter = data_converter(Keyring([KEY]))
    failure = Failure()
    try:
        raise RuntimeError(words) from raised(depth)
    except RuntimeError as error:
        await converter.encode_failure(error, failure)
    assert failure.ByteSize() < 4096
    assert failure.message == "Encoded failure"
    assert b"first words" not in failure.SerializeToString()
    told = await converter.decode_failure(failure)
    assert "first words" in str(told)


async def test_failure_keeps_the_causes_that_are_temporals_own() -> None:
    converter = data_converter(Keyring([KEY]))
    failure = Failure()
    answer = ApplicationError("cause", {"body": "x" * 10_000}, type="Refused")
    try:
        raise ApplicationError("above") from answer
    except ApplicationError as error:
        await converter.encode_failure(error, failure)
    told = await converter.decode_failure(failure)
    assert isinstance(told.__cause__, ApplicationError)
    assert told.__cause__.details == ({"body": "x" * 10_000},)
