"""What `taskfish doctor` looks at in Temporal: who reaches it, and its namespace."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.envconfig import ClientConnectConfig
from temporalio.service import TLSConfig

from taskfish.cli.findings import Finding, doubtful, well, wrong
from taskfish.cli.loopback import is_loopback
from taskfish.cli.temporal_configuration import search_attributes
from taskfish.cli.temporal_setup import (
    connect,
    current_retention,
    missing_attributes,
    translated_errors,
)
from taskfish.errors import ConfigurationError, TemporalUnavailableError
from taskfish.temporal import connect_options

_TEMPORAL, _ACCESS = "Temporal", "access to Temporal"
_NAMESPACE, _ATTRIBUTES, _RETENTION = "namespace", "search attributes", "retention"
_SETUP = "Run `taskfish temporal setup`."


async def check_temporal(kept_for: timedelta | None) -> list[Finding]:
    """Return what was found; ended tasks are to be kept for so long, None for ever."""
    try:
        options = connect_options()
    except ConfigurationError as error:
        return [wrong(_TEMPORAL, str(error), "Correct the TEMPORAL_* variables.")]
    access = _check_access(options)
    host = options["target_host"]
    try:
        client = await connect(options)
        return [
            well(_TEMPORAL, f"it answers at {host}"),
            access,
            *await _check_namespace(client, kept_for),
        ]
    except TemporalUnavailableError as error:
        mend = "Check TEMPORAL_ADDRESS and TEMPORAL_TLS_*, and that it runs."
        return [wrong(_TEMPORAL, str(error), mend), access]


def _check_access(options: ClientConnectConfig) -> Finding:
    """Say whether others than we are kept from Temporal, as far as we can know."""
    host = options["target_host"].rpartition(":")[0].strip("[]")
    tls = options.get("tls", False)
    if _is_here(host):
        return well(_ACCESS, "it is on loopback, for this machine only")
    if not tls:
        return wrong(
            _ACCESS,
            f"the way to {host} has no TLS and no login: whoever reaches Temporal "
            "there may start, cancel and end everything, whatever accounts may here",
            "Let Temporal require mTLS or an API key, and set TEMPORAL_TLS_* or "
            "TEMPORAL_API_KEY (docs/deployment.md).",
        )
    has_certificate = isinstance(tls, TLSConfig) and tls.client_cert is not None
    metadata = options.get("rpc_metadata", {})
    if has_certificate or options.get("api_key") or "authorization" in metadata:
        return well(_ACCESS, "it is over TLS, and Temporal knows who we are")
    return wrong(
        _ACCESS,
        f"Temporal at {host} is not told who we are, so it lets in everybody: they "
        "may start, cancel and end everything, whatever accounts may here",
        "Let Temporal require mTLS or an API key, and set "
        "TEMPORAL_TLS_CLIENT_CERT_PATH and _KEY_PATH, or TEMPORAL_API_KEY.",
    )


def _is_here(host: str) -> bool:
    try:
        return is_loopback(host)
    except OSError:
        return False


async def _check_namespace(client: Client, kept_for: timedelta | None) -> list[Finding]:
    try:
        with translated_errors():
            retention = await current_retention(client)
    except ConfigurationError as error:
        return [wrong(_NAMESPACE, str(error), "Give us access to the namespace.")]
    if retention is None:
        return [wrong(_NAMESPACE, f"there is no {client.namespace}", _SETUP)]
    return [
        await _check_attributes(client),
        _check_retention(retention, kept_for),
    ]


async def _check_attributes(client: Client) -> Finding:
    try:
        missing = await missing_attributes(client, search_attributes())
    except ConfigurationError as error:
        mend = "See what the namespace has; Taskfish needs those of `temporal setup`."
        return doubtful(_ATTRIBUTES, str(error), mend)
    if missing:
        text = f"namespace {client.namespace} lacks {', '.join(sorted(missing))}"
        return wrong(_ATTRIBUTES, text, _SETUP)
    return well(_ATTRIBUTES, f"namespace {client.namespace} has them all")


def _check_retention(retention: timedelta, kept_for: timedelta | None) -> Finding:
    """Compare how long Temporal keeps ended tasks with how long we say they are kept.

    `kept_for` None: until somebody removes them, which is as long as Temporal does.
    """
    hours = retention / timedelta(hours=1)
    text = f"Temporal keeps ended tasks for {hours:g} hours"
    if kept_for is None or kept_for <= retention:
        return well(_RETENTION, text)
    wanted = kept_for / timedelta(hours=1)
    return wrong(
        _RETENTION,
        f"{text}, and the TaskService promises {wanted:g}",
        f"Run `taskfish temporal setup --retention-hours {round(wanted + 0.5)}`, or "
        "lower TaskAutoDeleteTimeoutMinutes.",
    )
