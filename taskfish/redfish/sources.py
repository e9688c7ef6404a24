"""An AggregationSource as the gateway knows it (contracts.md 1 and 2)."""

import re
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

SOURCE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_FINGERPRINT = re.compile(r"[0-9A-F]{64}|[0-9A-F]{2}(:[0-9A-F]{2}){31}")


class ConnectionMethod(StrEnum):
    """How a source is spoken to; the Ids of the ConnectionMethods collection."""

    REDFISH = "Redfish"
    ODIM = "ODIM"


class SourceOptions(BaseModel):
    """Oem.Taskfish of an AggregationSource.

    `plugin` is the Id of the ODIM plugin's own source for a BMC behind a plugin.
    `instances` lists further addresses that the plugin's instances may have.
    `fingerprint` is of the one certificate to accept, as `fingerprint()` writes it.
    `adopt_tasks`: tasks that others start there appear here.
    """

    model_config = ConfigDict(frozen=True)

    plugin: str | None = None
    plugin_auth: Literal["Basic", "XAuthToken"] = "Basic"
    instances: tuple[str, ...] = ()
    verify_certificate: bool = True
    ca_certificate: str | None = None
    fingerprint: str | None = None
    max_concurrent_requests: Annotated[int, Field(ge=1, le=64)] = 4
    poll_seconds: Annotated[float, Field(ge=0.05, le=3600)] = 2.0
    adopt_tasks: bool = True


class Source(BaseModel):
    """One AggregationSource with its credentials: never leaves this process.

    `address` is the host as southbound bodies name it; `base_url` is where the HTTP
    calls go (for a BMC behind a plugin that is its plugin's); `has_tasks` is whether
    it makes tasks of its own, assumed until it has been asked.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    name: str | None = None
    host_name: str
    method: ConnectionMethod
    user_name: str | None = None
    password: SecretStr | None = None
    options: SourceOptions = SourceOptions()
    has_tasks: bool = True

    @property
    def base_url(self) -> str:
        """Scheme, host and port, with https where HostName names no scheme."""
        return base_url(self.host_name)

    @property
    def address(self) -> str:
        """HostName without a scheme."""
        return urlsplit(self.base_url).netloc


class SourceAccess(BaseModel):
    """All that is needed to speak to a source.

    `plugin` is the ODIM plugin in front of it; `manager` is the source's own Id of
    the Manager under which its AccountService appears; `refused` says that it refused
    our credentials and that they have not changed since.
    """

    model_config = ConfigDict(frozen=True)

    source: Source
    plugin: Source | None = None
    manager: str | None = None
    refused: bool = False


def fingerprint(text: str) -> str:
    """Return a SHA-256 fingerprint in the one form we keep: `AB:01:…`, 32 bytes.

    Raises ValueError unless it is hex, in either case, with all colons or none.
    """
    text = text.upper()
    if not _FINGERPRINT.fullmatch(text):
        raise ValueError("not 32 bytes in hex")
    return bytes.fromhex(text.replace(":", "")).hex(":").upper()


def base_url(host_name: str) -> str:
    """Return the URL root of a HostName given as URL or as host:port."""
    url = host_name if "://" in host_name else f"https://{host_name}"
    return url.rstrip("/")


def place_of(host_name: str) -> str:
    """Return `host:port`, the same for the same host however it is written.

    Raises ValueError for an address or a port that cannot be.
    """
    parts = urlsplit(base_url(host_name))
    host = parts.hostname or ""
    port = (
        (443 if parts.scheme == "https" else 80) if parts.port is None else parts.port
    )
    if not host or not port:
        raise ValueError("no host, or port 0")
    if ":" in host:
        host = f"[{ip_address(host)}]"
    return f"{host}:{port}"


def source_id_from(host_name: str) -> str:
    """Return the Id that a source gets when its client chose none: a slug of its host.

    Shape: `[a-z0-9][a-z0-9-]{0,31}`, no dot.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", urlsplit(base_url(host_name)).netloc.lower())
    return slug.strip("-")[:32].strip("-") or "source"
