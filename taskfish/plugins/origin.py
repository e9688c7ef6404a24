"""Scheme, host and port of a source: the only place its URIs may lead to."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Origin:
    """Where requests of one source go. `host` has no brackets, also if it is IPv6."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Origin":
        """Return the origin of an http or https URL; ValueError if it is none.

        User name, password, path and query of the URL are left behind.
        """
        parts = urlsplit(url.strip())
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError("not an http or https URL with a host")
        host = _same_form(parts.hostname)
        host.encode("idna")
        port = _DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
        return cls(parts.scheme, host, port)

    @property
    def netloc(self) -> str:
        """Host and port as in a Host header: no default port, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = self.port == _DEFAULT_PORTS[self.scheme]
        return host if default else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    def path_of(self, uri: str, base: str = "/") -> str | None:
        """Return path and query of a URI found at the path `base`.

        None if the URI leads to another scheme, host or port, or cannot be read.
        """
        try:
            url = urljoin(f"{self}{base}", uri.strip())
            if Origin.of(url) != self:
                return None
        except ValueError:
            return None
        return _path(urlsplit(url))

    def local(self, uri: str, base: str = "/") -> str:
        """Return a URI as path and query if it is our own, else without its userinfo.

        Shape: `/redfish/v1/Systems/1`, or `https://elsewhere:8443/path`.
        """
        path = self.path_of(uri, base)
        if path is not None:
            return path
        try:
            parts = urlsplit(urljoin(f"{self}{base}", uri.strip()))
        except ValueError:
            return uri
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def shortened(self, uri: str) -> str:
        """Return an absolute URI of our own as a path; any other string unchanged."""
        if not uri.lower().startswith(("http://", "https://")):
            return uri
        _, _, fragment = uri.partition("#")
        path = self.path_of(uri)
        if path is None:
            return uri
        return f"{path}#{fragment}" if fragment else path


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _same_form(host: str) -> str:
    """Return one spelling for all that name the same address."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()
