"""POST /vdsm/jsonrpc: the task verbs that VDSM's users know, as JSON-RPC 2.0 (D14).

Every answer of JSON-RPC is a 200, its errors too; 204 is for notifications alone.
"""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from pjrpc.common import BatchResponse, JsonRpcError
from pjrpc.common import Response as RpcResponse
from pjrpc.server.exceptions import InvalidRequestError, ParseError
from pydantic import JsonValue

from api.authentication import User, authenticated
from api.bodies import check_media_type, depth_of, limited, parsed
from api.gateway import Gateway, gateway_of
from api.vdsm import host, redfish, task
from api.vdsm.calls import answered, verbs
from taskfish.redfish.privileges import VDSM

MOST_CALLS = 100
"""Calls of a batch."""
MOST_LISTS = 5
"""Calls of a batch that each answer with any number of tasks."""
VERBS = verbs().merge(host.VERBS).merge(task.VERBS).merge(redfish.VERBS)

router = APIRouter(include_in_schema=False)


@router.post(VDSM)
async def jsonrpc(
    request: Request,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Make a call, or those of a batch one after the other, and answer them."""
    raw = await limited(request, gateway.settings.max_body_bytes)
    check_media_type(request)
    try:
        sent = parsed(raw)
    except ValueError:
        return _failed(ParseError())
    if (fault := _fault(sent, gateway.settings.max_json_depth)) is not None:
        return _failed(InvalidRequestError(f"Invalid Request: {fault}"))
    is_batch = isinstance(sent, list)
    calls = sent if isinstance(sent, list) else [sent]
    answers = [await answered(VERBS, request, gateway, user, call) for call in calls]
    given = [answer for answer in answers if answer is not None]
    if not given:
        return Response(status_code=204)
    return _response(BatchResponse(tuple(given)) if is_batch else given[0])


def _fault(sent: JsonValue, deepest: int) -> str | None:
    """Return what is wrong with a request as a whole, None if nothing is."""
    if depth_of(sent) > deepest:
        return "it is nested too deeply"
    if not isinstance(sent, list):
        return None
    if not sent:
        return "the batch is empty"
    if len(sent) > MOST_CALLS:
        return f"a batch has at most {MOST_CALLS} calls"
    if sum(map(_lists, sent)) > MOST_LISTS:
        return f"a batch has at most {MOST_LISTS} calls of {host.HOST}*"
    return None


def _lists(call: JsonValue) -> bool:
    method = call.get("method") if isinstance(call, dict) else None
    return isinstance(method, str) and method.startswith(host.HOST)


def _failed(error: JsonRpcError) -> Response:
    return _response(RpcResponse(error=error))


def _response(answer: RpcResponse | BatchResponse) -> Response:
    return JSONResponse(answer.to_json())
