"""What the routes work with: one object a process, made by `api/app.py`."""

from dataclasses import dataclass

from fastapi import Request
from temporalio.client import Client

from activities.removal import TaskRemoval
from api.audit_trail import AuditTrail
from api.event_streams import EventStreams
from api.logins import Logins
from api.source_tokens import SourceTokens
from api.step_reader import StepReader
from api.task_limits import TaskLimits
from api.task_list import TaskList
from api.task_reader import TaskReader
from api.task_starter import TaskStarter
from taskfish.plugins.connections import Connections
from taskfish.settings import Settings
from taskfish.store.accounts import Accounts, AccountSettings
from taskfish.store.aggregates import Aggregates
from taskfish.store.audit import AuditLog
from taskfish.store.event_log import EventLog
from taskfish.store.event_service import EventServiceSettings
from taskfish.store.inventory import Inventory
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


@dataclass(frozen=True)
class Gateway:
    """Settings, store, sources and Temporal, as the routes use them."""

    settings: Settings
    temporal: Client
    tasks: TaskReader
    task_list: TaskList
    steps: StepReader
    event_log: EventLog
    starter: TaskStarter
    task_limits: TaskLimits
    connections: Connections
    sources: Sources
    inventory: Inventory
    aggregates: Aggregates
    secret_bodies: SecretBodies
    requests: Requests
    turns: Turns
    monitor_reads: MonitorReads
    namespaces: SchemaNamespaces
    facts: ServiceFacts
    accounts: Accounts
    account_settings: AccountSettings
    logins: Logins
    sessions: Sessions
    session_settings: SessionSettings
    service_settings: ServiceSettings
    removal: TaskRemoval
    audit_log: AuditLog
    trail: AuditTrail
    event_settings: EventServiceSettings
    subscriptions: Subscriptions
    streams: EventStreams
    task_news: TaskNews
    source_subscriptions: SourceSubscriptions
    source_tokens: SourceTokens


async def gateway_of(request: Request) -> Gateway:
    """Return the process's gateway: the dependency of every route."""
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway), "the app's lifespan has not begun"
    return gateway
