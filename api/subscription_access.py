"""Which subscription a URI names, for whom it is there, and who may change it."""

from typing import Any

from fastapi import Request

from api.authentication import User
from api.errors import refuse
from api.etags import wanted_etags
from api.gateway import Gateway
from api.privileges import may_see, require_owner_or
from api.subscription_resources import STREAM_METHODS
from taskfish.errors import RequestRefusedError
from taskfish.redfish.events import subscription_uri
from taskfish.store.subscriptions import Subscription


async def visible_subscription(
    gateway: Gateway, user: User, subscription_id: str
) -> Subscription:
    found = await gateway.subscriptions.get(subscription_id)
    if found is None or not may_see(user, found.owner, gateway.settings):
        raise refuse("ResourceMissingAtURI", subscription_uri(subscription_id))
    return found


async def own_subscription(
    gateway: Gateway, user: User, subscription_id: str
) -> Subscription:
    """Return a subscription that the user may change; raise 404 and 403."""
    found = await visible_subscription(gateway, user, subscription_id)
    require_owner_or(user, found.owner)
    return found


def refuse_for_streams(found: Subscription) -> None:
    """Raise 405 for what does not concern a stream: it is as its request says."""
    if found.kind == "SSE":
        headers = {"Allow": ", ".join(STREAM_METHODS)}
        raise refuse("OperationNotAllowed", headers=headers)


def revision_for(request: Request, found: Subscription) -> int | None:
    """Return the revision that If-Match insists on, None if any will do."""
    return None if wanted_etags(request) is None else found.revision


async def changed_subscription(
    gateway: Gateway, found: Subscription, request: Request, **columns: Any
) -> Subscription:
    """Change a subscription, in the transaction only if it is what If-Match names."""
    only_if = revision_for(request, found)
    changed = await gateway.subscriptions.change(found.id, only_if, **columns)
    if changed is None:
        raise await changed_meanwhile(gateway, found.id)
    return changed


async def changed_meanwhile(
    gateway: Gateway, subscription_id: str
) -> RequestRefusedError:
    """Return the error for who was not the first of two, 404 if it is gone."""
    if await gateway.subscriptions.get(subscription_id) is None:
        return refuse("ResourceMissingAtURI", subscription_uri(subscription_id))
    text = "The subscription has changed while this request was under way."
    return refuse("PreconditionFailed", text=text)
