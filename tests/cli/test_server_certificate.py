"""The API's certificate: a good pair is served, a bad one is explained at the start."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from taskfish.cli.server_certificate import server_context
from taskfish.errors import ConfigurationError
from tests.cli.certificates import write_pair

HOUR = timedelta(hours=1)


def refusal(certificate: Path, key: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        server_context(certificate, key)
    return str(raised.value)


def test_good_pair_speaks_tls_from_1_2(tmp_path: Path) -> None:
    context = server_context(*write_pair(tmp_path))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_missing_file_is_named_with_its_variable(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    missing = tmp_path / "none.pem"
    assert f"TASKFISH_TLS_CERT {missing} cannot be read: No such" in refusal(
        missing, key
    )
    assert f"TASKFISH_TLS_KEY {missing} cannot be read: No such" in refusal(
        certificate, missing
    )


def test_directory_is_no_file(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    assert "Is a directory" in refusal(tmp_path, key)
    assert "Is a directory" in refusal(certificate, tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"-----BEGIN CERTIFICATE-----"])
def test_file_that_is_no_pem_is_refused(tmp_path: Path, content: bytes) -> None:
    certificate, key = write_pair(tmp_path)
    other = tmp_path / "other"
    other.write_bytes(content)
    assert "holds no certificate in PEM" in refusal(other, key)
    assert "holds no private key in PEM" in refusal(certificate, other)


def test_exchanged_files_are_refused(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    assert "holds no certificate" in refusal(key, certificate)


def test_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    certificate, _ = write_pair(tmp_path)
    _, key = write_pair(tmp_path, "other")
    assert "is not the key of the certificate" in refusal(certificate, key)


def test_encrypted_key_is_refused_without_asking(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, password=b"s3cret")
    assert "is encrypted: decrypt it" in refusal(*pair)


def test_expired_certificate_is_refused(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, begin=-2 * HOUR, end=-HOUR)
    assert "expired at 20" in refusal(*pair)


def test_certificate_of_the_future_is_refused(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, begin=HOUR, end=2 * HOUR)
    assert "check the clock" in refusal(*pair)


def test_key_is_never_in_the_message(tmp_path: Path) -> None:
    certificate, _ = write_pair(tmp_path)
    _, key = write_pair(tmp_path, "other")
    secret = key.read_text().splitlines()[1]
    assert secret not in refusal(certificate, key)
