"""The API's own certificate: checked at the start, so that a bad one is no surprise."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates

from taskfish.errors import ConfigurationError


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a context of TLS 1.2 or newer for a certificate and its key, both PEM.

    Raises ConfigurationError for files that are missing, unreadable, not for each
    other, expired or not valid yet.
    """
    leaf = _leaf(certificate)
    _check_key(key)
    _check_time(leaf, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigurationError(
                f"TASKFISH_TLS_KEY {key} is not the key of the certificate in "
                f"{certificate}: give the two that were made together, the server's "
                "own certificate first in its file"
            ) from error
        raise ConfigurationError(
            f"TASKFISH_TLS_CERT {certificate} cannot be served: {error.reason}"
        ) from error
    return context


def expiry_of(certificate: Path) -> datetime:
    """Return when a certificate ends; raise ConfigurationError if it cannot be read."""
    return _leaf(certificate).not_valid_after_utc


def _leaf(file: Path) -> Certificate:
    content = _content("TASKFISH_TLS_CERT", file)
    try:
        return load_pem_x509_certificates(content)[0]
    except ValueError as error:
        raise ConfigurationError(
            f"TASKFISH_TLS_CERT {file} holds no certificate in PEM: it begins with "
            "-----BEGIN CERTIFICATE-----"
        ) from error


def _check_key(file: Path) -> None:
    content = _content("TASKFISH_TLS_KEY", file)
    try:
        load_pem_private_key(content, password=None)
    except TypeError as error:
        raise ConfigurationError(
            f"TASKFISH_TLS_KEY {file} is encrypted: decrypt it, for example with "
            "`openssl pkey`, and let only the service read it"
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"TASKFISH_TLS_KEY {file} holds no private key in PEM"
        ) from error


def _check_time(leaf: Certificate, file: Path) -> None:
    now = datetime.now(UTC)
    if leaf.not_valid_after_utc <= now:
        problem = f"expired at {leaf.not_valid_after_utc.isoformat()}: renew it"
    elif leaf.not_valid_before_utc > now:
        begin = leaf.not_valid_before_utc.isoformat()
        problem = f"is valid from {begin} only: check the clock"
    else:
        return
    raise ConfigurationError(f"the certificate of TASKFISH_TLS_CERT {file} {problem}")


def _content(variable: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{variable} {file} cannot be read: {error.strerror}"
        ) from error
