"""The certificate authority of one `taskfish dev`, and its certificate for the API."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from taskfish.cli.data_directory import write_privately

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=397)
RENEWED_BEFORE = timedelta(days=30)
NAMES: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)
_PERMITTED = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")),
    x509.IPAddress(ipaddress.ip_network("::1/128")),
)
"""The authority is good for this machine only, wherever it may come to be trusted."""


class Tls(NamedTuple):
    """The files of the API's TLS: its authority, its certificate and its key."""

    ca: Path
    certificate: Path
    key: Path

    def variables(self) -> dict[str, str]:
        """Return the environment in which `taskfish api` serves with them."""
        return {
            "TASKFISH_TLS_CERT": str(self.certificate),
            "TASKFISH_TLS_KEY": str(self.key),
        }


class _Pair(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def local_tls(directory: Path) -> Tls:
    """Return a certificate for this machine's loopback and its authority, in PEM.

    Made when there is none in the directory, made anew a month before its end and when
    it cannot be read; for its owner only.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.now(UTC)
    authority = _kept(directory, "ca", now)
    server = _kept(directory, "server", now)
    if authority is None:
        authority, server = _new_authority(now), None
        _keep(directory, "ca", authority)
    if server is None or server.certificate.issuer != authority.certificate.subject:
        _keep(directory, "server", _new_server(authority, now))
    return Tls(directory / "ca.pem", directory / "server.pem", directory / "server.key")


def _kept(directory: Path, name: str, now: datetime) -> _Pair | None:
    """Return a pair that is there and good for a while, else None."""
    try:
        content = (directory / f"{name}.pem").read_bytes()
        certificate = x509.load_pem_x509_certificate(content)
        key = load_pem_private_key((directory / f"{name}.key").read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    if key.public_key() != certificate.public_key():
        return None
    if now + RENEWED_BEFORE > certificate.not_valid_after_utc:
        return None
    return _Pair(certificate, key)


def _keep(directory: Path, name: str, pair: _Pair) -> None:
    key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_privately(directory / f"{name}.key", key.decode())
    certificate = pair.certificate.public_bytes(Encoding.PEM)
    write_privately(directory / f"{name}.pem", certificate.decode())


def _new_authority(now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own: two authorities under one name are mistaken for each other.
    serial = x509.random_serial_number()
    name = _name(f"taskfish dev {serial % 16**8:08x}")
    public = key.public_key()
    usage = x509.KeyUsage(
        **dict.fromkeys(_USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
    )
    builder = (
        _begun(name, name, public, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(usage, True)
        .add_extension(x509.NameConstraints(_PERMITTED, None), True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False
        )
    )
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _new_server(authority: _Pair, now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate.subject
    issuing_key = authority.key.public_key()
    usage = x509.KeyUsage(**dict.fromkeys(_USAGES, False) | {"digital_signature": True})
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing_key)
    builder = (
        _begun(_name("localhost"), issuer, key.public_key(), now, SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(usage, True)
        .add_extension(purpose, False)
        .add_extension(x509.SubjectAlternativeName(NAMES), False)
        .add_extension(identifier, False)
    )
    return _Pair(builder.sign(authority.key, hashes.SHA256()), key)


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
