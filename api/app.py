"""Composition root of the northbound API: settings → store, plugins, Temporal → app."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import Response
from starlette.routing import BaseRoute, Match
from temporalio.client import Client

from activities.removal import TaskRemoval
from api import (
    account_service,
    accounts,
    aggregated,
    aggregates,
    aggregation_service,
    aggregation_sources,
    codec,
    codec_login,
    composite_actions,
    event_service,
    gateway_manager,
    json_schemas,
    log_services,
    login,
    openapi,
    registries,
    server_sent_events,
    service_root,
    session_service,
    sessions,
    southbound_events,
    subscription_actions,
    subscriptions,
    subtasks,
    task_actions,
    task_monitors,
    task_service,
    tasks,
    update_service,
)
from api.audit_trail import AuditTrail
from api.auditing import Auditing
from api.baremetal import routes as baremetal
from api.baremetal.door import Door
from api.conditional_get import ConditionalGet
from api.errors import add_error_handlers, refuse
from api.event_streams import EventStreams
from api.front import METHODS, Front
from api.gateway import Gateway
from api.header_limits import HeaderLimits
from api.logins import Logins
from api.privileges import privileged
from api.query_options import only_known_options
from api.source_tokens import SourceTokens
from api.step_reader import StepReader
from api.task_limits import TaskLimits
from api.task_list import TaskList
from api.task_reader import TaskReader
from api.task_starter import TaskStarter
from api.vdsm import door as vdsm
from taskfish.encryption import Keyring
from taskfish.plugins.connections import Connections
from taskfish.plugins.odim import client as odim
from taskfish.plugins.redfish import client as redfish
from taskfish.redfish.sources import ConnectionMethod
from taskfish.settings import Settings
from taskfish.store.accounts import Accounts, AccountSettings
from taskfish.store.aggregates import Aggregates
from taskfish.store.audit import AuditLog
from taskfish.store.database import Store
from taskfish.store.event_log import EventLog
from taskfish.store.event_service import EventServiceSettings
from taskfish.store.inventory import Inventory
from taskfish.store.journal import Journal
from taskfish.store.monitor_reads import MonitorReads
from taskfish.store.requests import Requests
from taskfish.store.schema_namespaces import SchemaNamespaces
from taskfish.store.secret_bodies import SecretBodies
from taskfish.store.service import ServiceFacts
from taskfish.store.service_settings import ServiceSettings
from taskfish.store.sessions import Sessions, SessionSettings
from taskfish.store.source_subscriptions import SourceSubscriptions
from taskfish.store.sources import Sources
from taskfish.store.subscriptions import Subscriptions
from taskfish.store.task_news import TaskNews
from taskfish.store.turns import Turns
from taskfish.temporal import connect

CALLS_SHARE = 0.5
"""The API's part of a source's concurrent calls; the worker has the other."""
PARTS = (
    account_service,
    accounts,
    session_service,
    sessions,
    aggregates,
    aggregation_service,
    aggregation_sources,
    task_service,
    tasks,
    subtasks,
    task_actions,
    task_monitors,
    event_service,
    subscriptions,
    subscription_actions,
    server_sent_events,
    update_service,
    registries,
    json_schemas,
    log_services,
    gateway_manager,
    codec,
    vdsm,
    composite_actions,
    aggregated,
)
"""What lies behind the login."""
OPEN = (
    service_root.router,
    login.router,
    openapi.router,
    codec_login.router,
    southbound_events.router,
)
"""What is open without login (contracts.md 7)."""


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
        looking_after = asyncio.create_task(gateway.streams.run())
        try:
            yield
        finally:
            looking_after.cancel()
            with suppress(asyncio.CancelledError):
                await looking_after
            await gateway.streams.close()
            await gateway.connections.aclose()
            await gateway.trail.close()
            await store.close()

    app = FastAPI(
        title="Taskfish",
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
        routes=_routes(),
    )
    app.add_middleware(ConditionalGet)
    app.add_middleware(Auditing)
    if settings.temporal_ui_origin is not None:
        app.add_middleware(codec.CodecOrigin, origin=settings.temporal_ui_origin)
    app.add_middleware(HeaderLimits)
    app.add_middleware(Front)
    app.add_middleware(Door)
    add_error_handlers(app)
    app.state.openapi = _openapi()
    return app


def open_gateway(settings: Settings, store: Store, client: Client) -> Gateway:
    """Put together what the routes work with."""
    sources, subscriptions = Sources(store), SourceSubscriptions(store)
    monitor_reads, event_log = MonitorReads(store), EventLog(store)
    reader, audit_log = TaskReader(client), AuditLog(store)
    account_settings = AccountSettings(store, settings)
    accounts_kept = Accounts(store, account_settings)
    session_settings = SessionSettings(store, settings)
    event_settings, subscribed = EventServiceSettings(store), Subscriptions(store)
    adapters = {
        ConnectionMethod.ODIM: odim.connect,
        ConnectionMethod.REDFISH: redfish.connect,
    }
    return Gateway(
        settings=settings,
        temporal=client,
        tasks=reader,
        task_list=TaskList(client, reader, event_log, Requests(store), store.keyring),
        steps=StepReader(client, reader, event_log),
        event_log=event_log,
        starter=TaskStarter(client, settings.task_queue),
        task_limits=TaskLimits(client, settings),
        connections=Connections(sources, adapters, settings, CALLS_SHARE),
        sources=sources,
        inventory=Inventory(store),
        aggregates=Aggregates(store),
        secret_bodies=SecretBodies(store),
        requests=Requests(store),
        turns=Turns(store),
        monitor_reads=monitor_reads,
        namespaces=SchemaNamespaces(store),
        facts=ServiceFacts(store),
        accounts=accounts_kept,
        account_settings=account_settings,
        logins=Logins(accounts_kept, settings),
        sessions=Sessions(store, session_settings, settings.max_sessions),
        session_settings=session_settings,
        service_settings=ServiceSettings(store, settings),
        removal=TaskRemoval(
            client,
            Journal(store),
            monitor_reads,
            Requests(store),
            Turns(store),
            event_log,
        ),
        audit_log=audit_log,
        trail=AuditTrail(audit_log),
        event_settings=event_settings,
        subscriptions=subscribed,
        streams=EventStreams(
            settings,
            event_log,
            subscribed,
            event_settings,
            accounts_kept,
        ),
        task_news=TaskNews(store),
        source_subscriptions=subscriptions,
        source_tokens=SourceTokens(subscriptions, settings),
    )


@cache
def _routes() -> list[BaseRoute]:
    """Return all routes, the last of which refuses what is left.

    They know nothing of an app, and FastAPI takes a moment for each of them.
    """
    routes = APIRouter()
    for router in OPEN:
        routes.include_router(router, dependencies=[Depends(only_known_options)])
    routes.include_router(baremetal.router)
    behind_login = APIRouter(
        dependencies=[Depends(privileged), Depends(only_known_options)]
    )
    for part in PARTS:
        behind_login.include_router(part.router)
    behind_login.add_api_route(
        "/{path:path}", refuse_unknown, methods=list(METHODS), include_in_schema=False
    )
    routes.include_router(behind_login)
    return routes.routes


@cache
def _openapi() -> bytes:
    """Return the OpenAPI document of the routes."""
    return openapi.written(openapi.document(OPEN, [part.router for part in PARTS]))


async def refuse_unknown(request: Request) -> Response:
    """Raise 405 with Allow for a path that has other methods, else 404."""
    allowed = {
        method
        for router in (*OPEN, *(part.router for part in PARTS))
        for route in router.routes
        for method in METHODS
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    }
    if allowed:
        raise refuse(
            "OperationNotAllowed", headers={"Allow": ", ".join(sorted(allowed))}
        )
    raise refuse("ResourceMissingAtURI", request.scope["path"])
