"""What an emulated ODIM plugin reads from a call, and what it says of itself."""

import base64
import binascii
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import NAMESPACE_DNS, uuid5

from pydantic import BaseModel, JsonValue

from taskfish.plugins.machine.answers import Body, no_such, parse_object, refused
from taskfish.plugins.machine.resources import timestamp
from taskfish.redfish.messages import base_message
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.task import Answer

NORTH, SOUTH = "/redfish/v1", "/ODIM/v1"
PLUGIN_UUID = str(uuid5(NAMESPACE_DNS, "plugin.emulator.taskfish"))
VERSION = "v1.0.0"
BUS_SUBSCRIPTION = "/redfish/v1/EventService/Subscriptions/bus"
"""Where a plugin's own subscription for its message bus would be, if it had one."""


class Target(BaseModel):
    """The BMC that a call is for, and what it gets."""

    address: str
    user_name: str
    password: str
    post_body: Body


def parse_target(body: Body) -> Target:
    """Read the body of a device call; a refusal if it is not one."""
    address = body.get("ManagerAddress")
    if not isinstance(address, str) or not address:
        raise refused(base_message("PropertyMissing", "ManagerAddress"))
    return Target(
        address=address,
        user_name=str(body.get("UserName", body.get("Username", ""))),
        password=_decoded(body, "Password").decode(errors="replace"),
        post_body=_north(parse_object(_decoded(body, "PostBody"))),
    )


def host_of(address: str) -> str:
    """Return the name or address of a BMC without scheme and port."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    return parts.hostname or address


def north_of(path: str) -> str:
    """Return the BMC's URI of a plugin's path; a refusal if it has none."""
    if path != SOUTH and not path.startswith(f"{SOUTH}/"):
        raise no_such(path)
    return NORTH + path.removeprefix(SOUTH)


def to_odim(answer: Answer) -> Answer:
    """Return an answer of a BMC with the plugin's links."""
    headers = {
        name: _replaced(value, NORTH, SOUTH) if name == "Location" else value
        for name, value in answer.headers.items()
    }
    body = _walk(answer.body, NORTH, SOUTH)
    return answer.model_copy(update={"headers": headers, "body": body})


def status_body(uptime: float) -> Body:
    """Return the answer of /Status."""
    minutes = int(uptime) // 60
    queue: Body = {
        "EmbQueueName": "REDFISH-EVENTS-TOPIC",
        "EmbQueueDesc": "Queue for redfish events",
    }
    return {
        "_comment": "Plugin Status Response",
        "Name": "Emulated ODIM plugin",
        "Version": VERSION,
        "Status": {
            "Available": "yes",
            "Uptime": f"{minutes // 60}h{minutes % 60}m",
            "TimeStamp": timestamp(datetime.now(UTC)),
        },
        "EventMessageBus": {"EmbType": "Kafka", "EmbQueue": [queue]},
    }


def manager_collection() -> Body:
    """Return /Managers of the plugin itself."""
    return {
        "@odata.id": f"{SOUTH}/Managers",
        "@odata.type": SCHEMA.odata_type("ManagerCollection"),
        "Name": "Managers",
        "Members": [{"@odata.id": f"{SOUTH}/Managers/plugin"}],
        "Members@odata.count": 1,
    }


def manager_body() -> Body:
    """Return the Manager that is the plugin itself."""
    return {
        "@odata.id": f"{SOUTH}/Managers/plugin",
        "@odata.type": SCHEMA.odata_type("Manager"),
        "Id": "plugin",
        "Name": "Emulated ODIM plugin",
        "ManagerType": "Service",
        "UUID": PLUGIN_UUID,
        "FirmwareVersion": VERSION,
        "Status": {"State": "Enabled", "Health": "OK"},
    }


def startup_answer(body: Body) -> Answer:
    """Return of each device in a /Startup where the bus is subscribed."""
    devices = body.get("Devices", {})
    if not isinstance(devices, dict):
        raise refused(base_message("PropertyValueTypeError", str(devices), "Devices"))
    found: Body = {}
    for device in devices.values():
        if isinstance(device, dict) and device.get("Operation") != "del":
            info = device.get("EventSubscriptionInfo")
            known = info.get("Location") if isinstance(info, dict) else None
            found[str(device.get("Address"))] = known or BUS_SUBSCRIPTION
    return Answer(status=200, body=found)


def _decoded(body: Body, name: str) -> bytes:
    value = body.get(name) or ""
    if not isinstance(value, str):
        raise refused(base_message("PropertyValueTypeError", str(value), name))
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as exc:
        raise refused(base_message("PropertyValueFormatError", "******", name)) from exc


def _north(body: Body) -> Body:
    mapped = _walk(body, SOUTH, NORTH)
    return mapped if isinstance(mapped, dict) else {}


def _walk(value: JsonValue, old: str, new: str) -> JsonValue:
    if isinstance(value, str):
        return _replaced(value, old, new)
    if isinstance(value, list):
        return [_walk(item, old, new) for item in value]
    if isinstance(value, dict):
        return {key: _walk(item, old, new) for key, item in value.items()}
    return value


def _replaced(text: str, old: str, new: str) -> str:
    below = text == old or text.startswith((f"{old}/", f"{old}#"))
    return new + text.removeprefix(old) if below else text
