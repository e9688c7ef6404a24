"""A Redfish BMC's JSON in our words: links without its origin, its list of tasks."""

import json
from collections.abc import Iterable

from pydantic import JsonValue

from taskfish.plugins import answers, reports
from taskfish.plugins.origin import Origin
from taskfish.plugins.protocol import Identity, ListedTask
from taskfish.plugins.transport import Reply
from taskfish.redfish.links import ROOT
from taskfish.redfish.task import Answer

SESSIONS = f"{ROOT}/SessionService/Sessions"
TASKS = f"{ROOT}/TaskService/Tasks"
_GUARDED = ("Systems", "Managers", "Chassis")


def answer_of(reply: Reply, origin: Origin) -> Answer:
    """Return a reply as an Answer, its own absolute links as paths.

    Location may be relative to the request; another host's stays absolute.
    """
    return answers.answer_of(
        reply, origin.shortened, lambda uri: origin.local(uri, reply.uri)
    )


def identity(root: JsonValue) -> Identity | None:
    """Return who answers, by its ServiceRoot; None if that is not one."""
    if not isinstance(root, dict) or not ({"RedfishVersion", "Links"} & root.keys()):
        return None
    uuid = root.get("UUID")
    return Identity(
        uuid=uuid if isinstance(uuid, str) else None,
        has_accounts="AccountService" in root,
        has_tasks="Tasks" in root,
    )


def guarded_uri(root: JsonValue) -> str:
    """Return a resource that only those with good credentials may read."""
    holder = root if isinstance(root, dict) else {}
    links = (link_of(holder.get(name)) for name in _GUARDED)
    return next((uri for uri in links if uri), f"{ROOT}/{_GUARDED[0]}")


def members_of(page: JsonValue) -> list[dict[str, JsonValue]]:
    """Return the members of one page of a collection, links or whole resources."""
    found = page.get("Members") if isinstance(page, dict) else None
    items: Iterable[JsonValue] = found if isinstance(found, list) else ()
    return [item for item in items if isinstance(item, dict) and link_of(item)]


def next_page(page: JsonValue) -> str | None:
    """Return the URI of the collection's next page."""
    link = page.get("Members@odata.nextLink") if isinstance(page, dict) else None
    return link if isinstance(link, str) else None


def link_of(value: JsonValue) -> str | None:
    """Return the `@odata.id` of an object."""
    link = value.get("@odata.id") if isinstance(value, dict) else None
    return link if isinstance(link, str) and link else None


def listed_task(uri: str, answer: Answer) -> ListedTask:
    """Return a Task as the list shows it; its Payload tells what it changes."""
    body = answer.body if isinstance(answer.body, dict) else {}
    payload = body.get("Payload")
    known = payload if isinstance(payload, dict) else {}
    report = reports.report_of(answer)
    task = reports.plugin_task(answer).model_copy(update={"task": uri})
    return ListedTask(
        task=task,
        report=report,
        method=_text(known.get("HttpOperation")),
        target=_text(known.get("TargetUri")),
        body=_json(known.get("JsonBody")),
        name=_text(body.get("Name")),
    )


def _json(value: JsonValue) -> JsonValue:
    """Return what a text of JSON says, None if it is none."""
    try:
        parsed: JsonValue = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None
    return parsed


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None
