"""How a source is asked to send the events of its tasks, and that again no more.

Both protocols take an EventDestination (v1.16) and name the subscription that they
made of it; what differs is whether the EventService can be read (`Plugin.events`).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

from pydantic import JsonValue

from taskfish.errors import SubscriptionRefusedError
from taskfish.plugins.answers import GONE, out_of_reach
from taskfish.plugins.protocol import Accepted, Change, Plugin
from taskfish.redfish.event_receiver import (
    CONTEXT,
    REGISTRIES,
    TOKEN_HEADER,
    EventReceiver,
)
from taskfish.redfish.links import ROOT
from taskfish.redfish.task import Answer, PluginTask

SERVICE = f"{ROOT}/EventService"
SUBSCRIPTIONS = f"{SERVICE}/Subscriptions"
MOST_LISTED = 50
"""How many subscriptions of a source are looked at for earlier ones of ours."""
POLLS, POLL_SECONDS = 30, 0.5
"""How long a subscription is waited for that the source makes by a task."""
Body = dict[str, JsonValue]


async def subscribe(plugin: Plugin, receiver: EventReceiver) -> str:
    """Make a subscription in place of earlier ones to the same destination.

    Returns its path at the source. Raises `SubscriptionRefusedError` if the source has
    no events or takes none of our forms, and what `Plugin` raises.
    """
    prefixes: tuple[str, ...] = ()
    if plugin.events == "none":
        raise SubscriptionRefusedError("the source has no events of tasks")
    if plugin.events == "service":
        prefixes = await _prefixes(plugin)
        async for earlier in _earlier(plugin, receiver.destination):
            await unsubscribe(plugin, earlier)
    answer = Answer(status=400)
    for body in _forms(receiver, prefixes):
        answer = await _post(plugin, body)
        uri = _path(answer)
        if answer.succeeded and uri:
            return uri
        if answer.status not in (400, 422):
            break
    raise SubscriptionRefusedError(
        f"the source answered the subscription with {answer.status}"
    )


async def is_subscribed(plugin: Plugin, uri: str, destination: str) -> bool:
    """Say whether a subscription is still there, and still ours."""
    answer = await plugin.read(uri)
    if answer.status in GONE:
        return False
    if not answer.succeeded:
        raise out_of_reach(answer, "of the subscription")
    is_shown = plugin.events == "service"
    return not is_shown or _of(answer.body, "Destination") == destination


async def unsubscribe(plugin: Plugin, uri: str) -> None:
    """Remove a subscription; one that is not there is as good."""
    await plugin.submit(Change(method="DELETE", uri=uri))


async def _prefixes(plugin: Plugin) -> tuple[str, ...]:
    """Return the registries to ask for; raise unless there is an EventService."""
    answer = await plugin.read(SERVICE)
    if not answer.succeeded or _of(answer.body, "ServiceEnabled") is False:
        raise SubscriptionRefusedError(
            f"the source has no EventService in service (HTTP {answer.status})"
        )
    listed = _of(answer.body, "RegistryPrefixes")
    known = listed if isinstance(listed, list) else []
    return tuple(prefix for prefix in REGISTRIES if prefix in known)


async def _earlier(plugin: Plugin, destination: str) -> AsyncIterator[str]:
    """Yield what an earlier try or an earlier gateway has left at the source."""
    members = _of((await plugin.read(SUBSCRIPTIONS)).body, "Members")
    for member in members[:MOST_LISTED] if isinstance(members, list) else []:
        uri = _of(member, "@odata.id")
        if not isinstance(uri, str):
            continue
        shown = await plugin.read(uri)
        if _of(shown.body, "Destination") == destination:
            yield uri


def _forms(receiver: EventReceiver, prefixes: tuple[str, ...]) -> Iterator[Body]:
    """Yield what to ask for, the best first.

    Context can be read at the source, so the token is there only for one that takes no
    headers. Old services ask for EventTypes.
    """
    token = receiver.token.get_secret_value()
    plain: Body = {
        "Name": "Taskfish",
        "Destination": receiver.destination,
        "Protocol": "Redfish",
    }
    headed: Body = {**plain, "Context": CONTEXT, "HttpHeaders": [{TOKEN_HEADER: token}]}
    if prefixes:
        yield {**headed, "RegistryPrefixes": list(prefixes)}
    yield headed
    yield {**plain, "Context": token}
    yield {**plain, "Context": token, "EventTypes": ["StatusChange"]}


async def _post(plugin: Plugin, body: Body) -> Answer:
    """Send a subscription; return the final answer, also of a task that makes it."""
    change = Change(method="POST", uri=SUBSCRIPTIONS, body=body)
    submission = await plugin.submit(change)
    if isinstance(submission, Accepted):
        return await _final(plugin, submission.task)
    return submission.answer


async def _final(plugin: Plugin, task: PluginTask) -> Answer:
    for _ in range(POLLS):
        report = await plugin.poll(task)
        if report.answer is not None:
            created = {"Location": report.created[0]} if report.created else {}
            headers = {**report.answer.headers, **created}
            return report.answer.model_copy(update={"headers": headers})
        await asyncio.sleep(POLL_SECONDS)
    raise SubscriptionRefusedError("the source does not come to an end with it")


def _path(answer: Answer) -> str | None:
    """Return where the new subscription is, as a path: ODIM names it by a URL."""
    uri = answer.header("Location") or _of(answer.body, "@odata.id")
    try:
        return urlsplit(uri).path or None if isinstance(uri, str) else None
    except ValueError:
        return None


def _of(body: JsonValue, name: str) -> JsonValue:
    return body.get(name) if isinstance(body, dict) else None
