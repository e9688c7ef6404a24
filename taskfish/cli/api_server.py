"""How the API is served: TLS or loopback, its limits, and who is believed."""

import ssl
from typing import Any

import uvicorn

from taskfish.cli.http_protocol import HEAD_BYTES, limited_protocol
from taskfish.cli.loopback import is_loopback
from taskfish.cli.server_certificate import server_context
from taskfish.errors import ConfigurationError
from taskfish.settings import Settings

KEEP_ALIVE_SECONDS = 30
STOP_SECONDS = 5
"""How long requests under way may go on when told to stop: less than the grace that
`taskfish dev` gives its parts."""

_PASSWORDS = (
    "passwords would pass to --host {host} in clear text: set "
    "TASKFISH_TLS_CERT and TASKFISH_TLS_KEY, listen on 127.0.0.1 behind something "
    "that ends TLS, or set TASKFISH_PLAIN_HTTP=yes-without-encryption"
)
_NO_LOGIN = (
    "everybody who reaches --host {host} could switch machines off at /baremetal: "
    "TASKFISH_BAREMETAL_AUTH=none is for 127.0.0.1 only"
)


def serve(app: Any, settings: Settings, host: str, port: int) -> None:
    """Serve `app()` until SIGTERM or Ctrl-C."""
    uvicorn.run(**server_options(app, settings, host, port))


def server_options(
    app: Any, settings: Settings, host: str, port: int
) -> dict[str, Any]:
    """Return uvicorn's options; raise ConfigurationError for what must not be served.

    `app` makes the application, in the server's own process.
    """
    context = tls_context(settings)
    if context is None and settings.plain_http is None:
        _require_loopback(host, _PASSWORDS)
    if settings.baremetal_auth == "none":
        _require_loopback(host, _NO_LOGIN)
    return {
        "app": app,
        "factory": True,
        "host": host,
        "port": port,
        "ssl_context_factory": (lambda *_: context) if context else None,
        "http": limited_protocol(settings.request_timeout, settings.max_connections),
        "ws": "none",
        "h11_max_incomplete_event_size": HEAD_BYTES,
        "server_header": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": settings.trusted_proxies,
        "access_log": False,
        "log_level": "warning",
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": STOP_SECONDS,
    }


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS of the settings, None for plain HTTP."""
    match settings.tls_cert, settings.tls_key:
        case None, None:
            return None
        case None, _:
            raise ConfigurationError("TASKFISH_TLS_KEY needs TASKFISH_TLS_CERT too")
        case _, None:
            raise ConfigurationError("TASKFISH_TLS_CERT needs TASKFISH_TLS_KEY too")
        case certificate, key:
            return server_context(certificate, key)


def _require_loopback(host: str, why: str) -> None:
    """Raise ConfigurationError if what is served would leave this machine."""
    try:
        if host and is_loopback(host):
            return
    except OSError as error:
        raise ConfigurationError(
            f"--host {host} is no address of this machine: {error.strerror}"
        ) from error
    raise ConfigurationError(why.format(host=host or "(any)"))
