"""Composition root of the northbound API: settings → store, plugins, Temporal → app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import Response
from starlette.routing import Match
from temporalio.client import Client

from api import (
    aggregated,
    aggregation_service,
    aggregation_sources,
    service_root,
    task_service,
    update_service,
)
from api.authentication import authenticated
from api.errors import add_error_handlers, refuse
from api.front import Front
from api.gateway import Gateway
from api.task_reader import TaskReader
from api.task_starter import TaskStarter
from taskfish.encryption import Keyring
from taskfish.plugins.connections import Connections
from taskfish.plugins.odim import client as odim
from taskfish.plugins.redfish import client as redfish
from taskfish.redfish.sources import ConnectionMethod
from taskfish.settings import Settings
from taskfish.store.database import Store
from taskfish.store.inventory import Inventory
from taskfish.store.monitor_reads import MonitorReads
from taskfish.store.schema_namespaces import SchemaNamespaces
from taskfish.store.secret_bodies import SecretBodies
from taskfish.store.service import ServiceFacts
from taskfish.store.sources import Sources
from taskfish.temporal import connect

CALLS_SHARE = 0.5
"""The API's part of a source's concurrent calls; the worker has the other."""
METHODS = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "TRACE"]
PARTS = (
    aggregation_service,
    aggregation_sources,
    task_service,
    update_service,
    aggregated,
)
"""What lies behind the login."""


def create_app(
    settings: Settings | None = None, temporal: Client | None = None
) -> FastAPI:
    """Return the app; its lifespan opens and closes what it needs.

    Without settings they come from the environment; without a client Temporal is
    connected to lazily, so the API starts while Temporal is down.
    """
    settings = settings or Settings()
    keyring = Keyring(settings.encryption_keys)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        store = Store(settings.database_url, keyring)
        client = temporal or await connect(keyring, lazy=True)
        gateway = open_gateway(settings, store, client)
        app.state.gateway = gateway
        try:
            yield
        finally:
            await gateway.connections.aclose()
            await store.close()

    app = FastAPI(
        title="Taskfish",
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
    )
    app.add_middleware(Front)
    add_error_handlers(app)
    app.include_router(service_root.router, dependencies=[Depends(_no_query)])
    app.include_router(_behind_login())
    return app


def open_gateway(settings: Settings, store: Store, client: Client) -> Gateway:
    """Put together what the routes work with."""
    sources = Sources(store)
    adapters = {
        ConnectionMethod.ODIM: odim.connect,
        ConnectionMethod.REDFISH: redfish.connect,
    }
    return Gateway(
        settings=settings,
        temporal=client,
        tasks=TaskReader(client),
        starter=TaskStarter(client, settings.task_queue),
        connections=Connections(sources, adapters, settings, CALLS_SHARE),
        sources=sources,
        inventory=Inventory(store),
        secret_bodies=SecretBodies(store),
        monitor_reads=MonitorReads(store),
        namespaces=SchemaNamespaces(store),
        facts=ServiceFacts(store),
    )


def _behind_login() -> APIRouter:
    """Return all routes that need a login, the last of which refuses what is left."""
    router = APIRouter(dependencies=[Depends(authenticated), Depends(_no_query)])
    for part in PARTS:
        router.include_router(part.router)
    router.add_api_route(
        "/{path:path}", refuse_unknown, methods=METHODS, include_in_schema=False
    )
    return router


async def _no_query(request: Request) -> None:
    """Raise 501 for query options of OData: none is supported (DSP0266 7.3)."""
    if any(name.startswith("$") for name in request.query_params):
        raise refuse("QueryNotSupported")


async def refuse_unknown(request: Request) -> Response:
    """Raise 405 with Allow for a path that has other methods, else 404."""
    allowed = {
        method
        for part in (service_root, *PARTS)
        for route in part.router.routes
        for method in METHODS
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    }
    if allowed:
        raise refuse(
            "OperationNotAllowed", headers={"Allow": ", ".join(sorted(allowed))}
        )
    raise refuse("ResourceMissingAtURI", request.url.path)
