"""The authority of `taskfish dev --tls`: kept, renewed, and good for loopback only."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from taskfish.cli import local_authority
from taskfish.cli.local_authority import Tls, local_tls


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def contents(tls: Tls) -> list[bytes]:
    return [file.read_bytes() for file in tls]


def shake_hands(tls: Tls, host: str) -> None:
    """Shake hands in memory, as a strict client of the authority would."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls.certificate, tls.key)
    client = ssl.create_default_context(cafile=tls.ca)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client.wrap_bio(back, there, server_hostname=host)
    server_side = server.wrap_bio(there, back, server_side=True)
    for side in (client_side, server_side, client_side, server_side):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client_side.version() in ("TLSv1.2", "TLSv1.3")
    assert client_side.getpeercert()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_clients_of_the_authority_trust_every_name(tmp_path: Path, host: str) -> None:
    shake_hands(local_tls(tmp_path / "tls"), host)


@pytest.mark.parametrize("host", ["bmc.example", "127.0.0.2", "localhost.example"])
def test_other_names_are_not_trusted(tmp_path: Path, host: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(local_tls(tmp_path / "tls"), host)


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    local_tls(tmp_path / "tls")
    names = {file.name for file in (tmp_path / "tls").iterdir()}
    assert names == {"ca.pem", "ca.key", "server.pem", "server.key"}
    for file in (tmp_path / "tls").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700


def test_next_start_has_the_same_certificate(tmp_path: Path) -> None:
    first = contents(local_tls(tmp_path))
    assert contents(local_tls(tmp_path)) == first


def test_certificate_near_its_end_is_renewed_by_the_same_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(local_authority, "SERVER_LIFE", timedelta(days=20))
        before = contents(local_tls(tmp_path))
    tls = local_tls(tmp_path)
    ca, certificate, key = contents(tls)
    assert ca == before[0]
    assert certificate != before[1]
    assert key != before[2]
    left = read(tls.certificate).not_valid_after_utc - datetime.now(UTC)
    assert left > timedelta(days=300)
    shake_hands(tls, "localhost")


def test_authority_near_its_end_is_renewed_with_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(local_authority, "AUTHORITY_LIFE", timedelta(days=20))
        before = contents(local_tls(tmp_path))
    tls = local_tls(tmp_path)
    after = contents(tls)
    assert all(new != old for new, old in zip(after, before, strict=True))
    shake_hands(tls, "localhost")


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "server.pem", "server.key"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_damaged_file_is_made_anew(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    local_tls(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    shake_hands(local_tls(tmp_path), "localhost")


def test_key_of_another_certificate_is_made_anew(tmp_path: Path) -> None:
    tls, other = local_tls(tmp_path / "one"), local_tls(tmp_path / "two")
    tls.key.write_bytes(other.key.read_bytes())
    shake_hands(local_tls(tmp_path / "one"), "localhost")
