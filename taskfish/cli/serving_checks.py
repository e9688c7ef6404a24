"""What `taskfish doctor` looks at in how the API is served: TLS, and until when."""

from datetime import UTC, datetime, timedelta

from taskfish.cli.api_server import tls_context
from taskfish.cli.findings import Finding, doubtful, well, wrong
from taskfish.cli.server_certificate import expiry_of
from taskfish.errors import ConfigurationError
from taskfish.settings import Settings

SOON = timedelta(days=30)
"""How long before its end a certificate should be renewed."""
_HTTPS = "HTTPS"
_BARE_METAL = "bare metal"


def check_serving(settings: Settings) -> list[Finding]:
    """Return what was found."""
    return [*_check_bare_metal(settings), *_check_https(settings)]


def _check_bare_metal(settings: Settings) -> list[Finding]:
    if settings.baremetal_auth == "basic":
        return []
    text = (
        "TASKFISH_BAREMETAL_AUTH=none makes whoever reaches the API from this machine "
        "its administrator: each user, and everybody behind a proxy that does not say "
        "it is one"
    )
    mend = (
        "Set TASKFISH_BAREMETAL_AUTH=basic, or have no proxy and no other users here."
    )
    return [doubtful(_BARE_METAL, text, mend)]


def _check_https(settings: Settings) -> list[Finding]:
    try:
        context = tls_context(settings)
    except ConfigurationError as error:
        return [wrong(_HTTPS, str(error), "`taskfish api` does not start before.")]
    if context is not None and settings.tls_cert is not None:
        return [_check_expiry(expiry_of(settings.tls_cert))]
    if settings.plain_http is None:
        text = "without a certificate the API is served on loopback only"
        return [well(_HTTPS, text)]
    return [
        doubtful(
            _HTTPS,
            "TASKFISH_PLAIN_HTTP lets passwords and tokens pass in clear text",
            "Set TASKFISH_TLS_CERT and TASKFISH_TLS_KEY, or listen on loopback behind "
            "something that ends TLS.",
        )
    ]


def _check_expiry(end: datetime) -> Finding:
    text = f"the certificate is valid until {end:%F}"
    if end - datetime.now(UTC) > SOON:
        return well(_HTTPS, text)
    return doubtful(_HTTPS, text, "Renew it, and restart `taskfish api`.")
