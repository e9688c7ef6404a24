"""What tests of the northbound API read from answers."""

from typing import Any

import httpx


def message_keys(answer: httpx.Response) -> list[str]:
    """Return the keys of a Redfish error's messages; fail if it is not one."""
    error: dict[str, Any] = answer.json()["error"]
    infos = error["@Message.ExtendedInfo"]
    assert error["code"]
    assert error["message"]
    assert infos
    assert all(info["Message"] and info["MessageSeverity"] for info in infos)
    return [info["MessageId"].rpartition(".")[2] for info in infos]


def members(answer: httpx.Response) -> list[str]:
    """Return the members' URIs of a collection, or of its first page."""
    body = answer.json()
    uris = [member["@odata.id"] for member in body["Members"]]
    is_whole = "Members@odata.nextLink" not in body
    assert not is_whole or body["Members@odata.count"] == len(uris)
    return uris
