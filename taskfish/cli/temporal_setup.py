"""What a Temporal namespace needs before Taskfish can use it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.envconfig import ClientConnectConfig
from temporalio.service import RPCError, RPCStatusCode

from taskfish.cli.temporal_configuration import search_attributes
from taskfish.errors import ConfigurationError, TemporalUnavailableError
from taskfish.temporal import RPC_TIMEOUT, connect_options

SETUP_SECONDS = 30.0
RETENTION = timedelta(hours=72)
RETRY_INTERVAL = 0.1
OUR_FAULT = {
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.UNIMPLEMENTED,
}


async def connect(config: ClientConnectConfig) -> Client:
    """Return a client; raise TemporalUnavailableError when nothing answers."""
    try:
        return await asyncio.wait_for(
            Client.connect(**config), RPC_TIMEOUT.total_seconds()
        )
    except (RuntimeError, TimeoutError) as error:
        raise TemporalUnavailableError(
            f"Temporal does not answer at {config['target_host']}"
        ) from error


async def set_up_configured(retention: timedelta) -> None:
    """Set up the namespace that TEMPORAL_* names, waiting for a server that starts."""

    config = connect_options()

    async def work() -> None:
        client = await connect(config)
        await set_up_namespace(client, search_attributes(), retention)

    await until_available(work, SETUP_SECONDS)


async def set_up_namespace(
    client: Client, attributes: Mapping[str, str], retention: timedelta = RETENTION
) -> None:
    """Make the namespace if there is none, with our attributes and retention.

    May be repeated at any time; what is there already is left as it is.
    """
    with translated_errors():
        await _ensure_retention(client, retention)
        await _add_attributes(client, await missing_attributes(client, attributes))


async def set_retention(client: Client, retention: timedelta = RETENTION) -> None:
    """Keep ended workflows for at least `retention`."""
    with translated_errors():
        await _ensure_retention(client, retention)


async def missing_attributes(
    client: Client, attributes: Mapping[str, str]
) -> dict[str, str]:
    """Return those of the search attributes that the namespace does not know yet.

    Raise ConfigurationError for one that it knows with another type.
    """
    with translated_errors():
        answer = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace),
            timeout=RPC_TIMEOUT,
        )
    known = answer.custom_attributes
    for name, kind in attributes.items():
        if name in known and known[name] != _value_type(kind):
            raise ConfigurationError(
                f"search attribute {name} of namespace {client.namespace} is not {kind}"
            )
    return {name: kind for name, kind in attributes.items() if name not in known}


async def until_available(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Repeat `work` while it raises TemporalUnavailableError, for so long at most."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while True:
        try:
            return await work()
        except TemporalUnavailableError:
            if clock() > deadline:
                raise
            await asyncio.sleep(RETRY_INTERVAL)


async def _ensure_retention(client: Client, retention: timedelta) -> None:
    wanted = Duration()
    wanted.FromTimedelta(retention)
    current = await current_retention(client)
    if current is None:
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(
                namespace=client.namespace, workflow_execution_retention_period=wanted
            ),
            timeout=RPC_TIMEOUT,
        )
    elif current < retention:
        await client.workflow_service.update_namespace(
            UpdateNamespaceRequest(
                namespace=client.namespace,
                config=NamespaceConfig(workflow_execution_retention_ttl=wanted),
            ),
            timeout=RPC_TIMEOUT,
        )


async def current_retention(client: Client) -> timedelta | None:
    """Return None when there is no such namespace."""
    try:
        answer = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=RPC_TIMEOUT
        )
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise
    return answer.config.workflow_execution_retention_ttl.ToTimedelta()


async def _add_attributes(client: Client, attributes: Mapping[str, str]) -> None:
    if not attributes:
        return
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace,
            search_attributes={k: _value_type(v) for k, v in attributes.items()},
        ),
        timeout=RPC_TIMEOUT,
    )


def _value_type(kind: str) -> IndexedValueType.ValueType:
    words = {"KeywordList": "KEYWORD_LIST"}
    return IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{words.get(kind, kind.upper())}")


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Raise ConfigurationError or TemporalUnavailableError for errors of Temporal."""
    try:
        yield
    except RPCError as error:
        if error.status in OUR_FAULT:
            raise ConfigurationError(f"Temporal refuses: {error.message}") from error
        raise TemporalUnavailableError(error.message) from error
