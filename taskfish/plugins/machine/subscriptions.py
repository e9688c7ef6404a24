"""The EventService of a machine's BMC: who gets the events of its tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from pydantic import JsonValue

from taskfish.plugins.machine.answers import Body, refused
from taskfish.plugins.machine.resources import (
    HEALTHY,
    ROOT,
    Tree,
    collection,
    link,
    require_known,
    require_listed,
    resource,
    text_of,
)
from taskfish.redfish.messages import base_message

SERVICE: Final = f"{ROOT}/EventService"
SUBSCRIPTIONS: Final = f"{SERVICE}/Subscriptions"
REGISTRIES: Final = ("TaskEvent",)
KNOWN: Final = (
    *("Name", "Destination", "Protocol", "Context", "HttpHeaders"),
    *("RegistryPrefixes", "EventTypes", "MessageIds", "ResourceTypes"),
    *("OriginResources", "SubordinateResources", "SubscriptionType"),
    *("EventFormatType", "DeliveryRetryPolicy", "VerifyCertificate"),
)
MOST: Final = 20


@dataclass(frozen=True)
class Subscription:
    """Who gets events, and what is sent with them."""

    id: str
    destination: str
    context: str
    headers: Mapping[str, str] = field(repr=False)
    prefixes: tuple[str, ...]

    @property
    def uri(self) -> str:
        """Where it is at the BMC."""
        return f"{SUBSCRIPTIONS}/{self.id}"

    def body(self) -> Body:
        """Return the EventDestination; HttpHeaders are never shown."""
        return resource(
            self.uri,
            "EventDestination",
            f"Subscription {self.id}",
            Destination=self.destination,
            Context=self.context,
            Protocol="Redfish",
            SubscriptionType="RedfishEvent",
            EventFormatType="Event",
            RegistryPrefixes=list(self.prefixes),
            HttpHeaders=[],
            Status=HEALTHY,
        )


def parse_subscription(number: str, body: Body) -> Subscription:
    """Return the subscription that a POST asks for; a refusal if it is none."""
    require_known(body, KNOWN)
    destination = text_of(body, "Destination")
    _require_url(destination)
    require_listed(text_of(body, "Protocol"), ("Redfish",), "Protocol")
    prefixes = body.get("RegistryPrefixes") or []
    if not isinstance(prefixes, list):
        raise _wrong_type("RegistryPrefixes", prefixes)
    for prefix in prefixes:
        require_listed(prefix, REGISTRIES, "RegistryPrefixes")
    return Subscription(
        id=number,
        destination=destination,
        context=text_of({"Context": "", **body}, "Context"),
        headers=_headers(body.get("HttpHeaders") or []),
        prefixes=tuple(str(prefix) for prefix in prefixes),
    )


def add_service(tree: Tree, subscriptions: Mapping[str, Subscription]) -> None:
    """Add the EventService and the subscriptions there are now."""
    uris = [each.uri for each in subscriptions.values()]
    tree.add(SERVICE, _service)
    tree.add(SUBSCRIPTIONS, lambda: collection(SUBSCRIPTIONS, "EventDestination", uris))
    for each in subscriptions.values():
        tree.add(each.uri, each.body)


def allowed(uri: str) -> str | None:
    """Return the Allow of a URI that has to do with subscriptions, None of others."""
    if uri == SUBSCRIPTIONS:
        return "GET, HEAD, POST"
    return "GET, HEAD, DELETE" if uri.startswith(f"{SUBSCRIPTIONS}/") else None


def _service() -> Body:
    return resource(
        SERVICE,
        "EventService",
        "Event Service",
        ServiceEnabled=True,
        DeliveryRetryAttempts=0,
        DeliveryRetryIntervalSeconds=0,
        EventFormatTypes=["Event"],
        RegistryPrefixes=list(REGISTRIES),
        Status=HEALTHY,
        Subscriptions=link(SUBSCRIPTIONS),
    )


def _headers(given: JsonValue) -> dict[str, str]:
    """Read HttpHeaders: a list of objects with strings (EventDestination v1.16)."""
    if not isinstance(given, list):
        raise _wrong_type("HttpHeaders", given)
    found: dict[str, str] = {}
    for each in given:
        if not isinstance(each, dict):
            raise _wrong_type("HttpHeaders", each)
        found |= {name: str(value) for name, value in each.items()}
    return found


def _require_url(destination: str) -> None:
    try:
        parts = urlsplit(destination)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
        good = good and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise refused(
            base_message("PropertyValueFormatError", destination, "Destination")
        )


def _wrong_type(name: str, value: JsonValue) -> Exception:
    return refused(base_message("PropertyValueTypeError", str(value), name))
