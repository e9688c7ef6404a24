"""ODIM's wire form and ours (southbound.md A): paths, bodies, links."""

import base64
import json
from ipaddress import ip_address

from pydantic import JsonValue

from taskfish.plugins import answers, reports
from taskfish.plugins.origin import Origin
from taskfish.plugins.protocol import Change
from taskfish.plugins.transport import Reply
from taskfish.redfish.links import ROOT
from taskfish.redfish.sources import Source
from taskfish.redfish.task import Answer, PluginTask

ODIM_ROOT = "/ODIM/v1"
SESSIONS = f"{ODIM_ROOT}/Sessions"
STATUS = f"{ODIM_ROOT}/Status"
VALIDATE = f"{ODIM_ROOT}/validate"
STATUS_BODY: dict[str, JsonValue] = {"_comment": "", "Name": "", "Version": ""}
_SUBSCRIPTIONS = f"{ROOT}/EventService/Subscriptions"
_SIMPLE_UPDATE = f"{ROOT}/UpdateService/Actions/UpdateService.SimpleUpdate"


def south_path(uri: str) -> str:
    """Return a Redfish path as the plugin has it; `/taskmon/…` stays as it is."""
    rest = _below(uri, ROOT)
    return uri if rest is None else ODIM_ROOT + rest


def change_path(uri: str) -> str:
    """Return where a change goes: subscriptions, each one too, at the plugin's root."""
    if _below(uri, _SUBSCRIPTIONS) is not None:
        return f"{ODIM_ROOT}/Subscriptions"
    return south_path(uri)


def north_path(uri: str) -> str:
    """Return a plugin's path as Redfish has it."""
    rest = _below(uri, ODIM_ROOT)
    return uri if rest is None else ROOT + rest


def device(source: Source) -> dict[str, JsonValue]:
    """Return the fields that name a BMC and carry its credentials, in every body.

    `Password` is base64 because the plugin's struct has bytes there.
    """
    password = source.password.get_secret_value() if source.password else ""
    return {
        "ManagerAddress": _address(source),
        "UserName": source.user_name or "",
        "Password": _base64(password.encode()),
    }


def change_fields(change: Change, source: Source) -> dict[str, JsonValue]:
    """Return the fields that a change adds to its device; `PostBody` is base64 JSON.

    Links in it stay the BMC's own, as the plugins expect (A7); only the Targets of an
    update are the plugin's. `Location` names the subscription of a DELETE.
    """
    body = change.body
    if change.uri == _SIMPLE_UPDATE and isinstance(body, dict):
        body = {**body, **_plugin_targets(body)}
    fields: dict[str, JsonValue] = {
        "PostBody": "" if body is None else _base64(_compact(body)),
        "DeviceUUID": "",
        "PluginID": "",
    }
    if _below(change.uri, _SUBSCRIPTIONS):
        fields["Location"] = f"https://{_address(source)}{change.uri}"
    elif change.uri == _SUBSCRIPTIONS:
        fields["Location"] = ""
    return fields


def answer_of(reply: Reply, origin: Origin) -> Answer:
    """Return a reply as an Answer, with the BMC's own Redfish links."""
    return answers.answer_of(
        reply,
        lambda uri: north_path(origin.shortened(uri)),
        lambda uri: north_path(origin.local(uri, reply.uri)),
    )


def plugin_task(answer: Answer, reply: Reply) -> PluginTask:
    """Return where an accepted task is followed, and which instance runs it."""
    forwarded = reply.headers.get("x-forwarded-for", "").split(",")[0].strip()
    return reports.plugin_task(answer, instance=forwarded or None)


def device_uuid(body: JsonValue) -> str | None:
    """Return the UUID in the answer of `/validate`."""
    uuid = body.get("device_UUID") if isinstance(body, dict) else None
    return uuid if isinstance(uuid, str) and uuid else None


def same_host(one: str, other: str) -> bool:
    """Whether two addresses or names are the same, in whatever spelling."""
    return _plain(one) == _plain(other)


def _address(source: Source) -> str:
    """Return the BMC's host without a user name that its HostName may have."""
    return source.address.rpartition("@")[2]


def _plain(host: str) -> str:
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return host.lower()


def _plugin_targets(body: dict[str, JsonValue]) -> dict[str, JsonValue]:
    targets = body.get("Targets")
    if not isinstance(targets, list):
        return {}
    return {
        "Targets": [
            south_path(target) if isinstance(target, str) else target
            for target in targets
        ]
    }


def _below(uri: str, root: str) -> str | None:
    """Return what follows `root` in a URI, None if it does not lie there."""
    rest = uri.removeprefix(root)
    return rest if rest != uri and rest[:1] in ("", "/", "?", "#") else None


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _compact(body: JsonValue) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
