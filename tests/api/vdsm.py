"""Calls of VDSM's verbs for tests."""

from typing import Any

import httpx

from tests.house import House

VDSM = "/vdsm/jsonrpc"
RESET = "/redfish/v1/Systems/node1.1/Actions/ComputerSystem.Reset"
FORCE_OFF = {"ResetType": "ForceOff"}
Json = dict[str, Any]


def a_call(verb: str, call_id: Any = 1, **params: Any) -> Json:
    """Return the object of a call with named parameters."""
    return {"jsonrpc": "2.0", "id": call_id, "method": verb, "params": params}


def a_change(call_id: Any, uri: str = RESET, **params: Any) -> Json:
    """Return the call that starts a change, a reset if it does not say which."""
    params = {"method": "POST", "uri": uri, "body": FORCE_OFF, **params}
    return a_call("Redfish.request", call_id, **params)


async def post(house: House, body: Any, **request: Any) -> Any:
    """Send a call, or a batch, and return the answer."""
    answer = await (request.pop("client", house.client)).post(
        VDSM, json=body, **request
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def result(house: House, verb: str, /, **params: Any) -> Any:
    """Make a call and return its result."""
    answer = await post(house, a_call(verb, **params))
    assert "error" not in answer, answer
    return answer["result"]


async def error(house: House, verb: str, /, **params: Any) -> Json:
    """Make a call and return its error."""
    found: Json = (await post(house, a_call(verb, **params)))["error"]
    return found


async def code(house: House, body: Any, **request: Any) -> int:
    """Send a call and return the code of its error."""
    found: int = (await post(house, body, **request))["error"]["code"]
    return found


def task_of(house: House, record: Json) -> httpx.Response:
    """Return what stands for the 202 of the task of a record."""
    uri = f"/redfish/v1/TaskService/Tasks/{record['id']}"
    monitor = uri.replace("/Tasks/", "/TaskMonitors/")
    headers = {"Location": monitor}
    return httpx.Response(
        202, json={"@odata.id": uri, "Id": record["id"]}, headers=headers
    )
