"""One JSON-RPC call: from what was sent to the verb it names, and what comes of it.

pjrpc has the messages, the methods and the check of their parameters. Its dispatcher is
not used: one faulty call would refuse a whole batch, a null id would get no answer, and
it writes parameters, which may hold passwords, to the log.
"""

import logging
from dataclasses import dataclass
from typing import Any

from fastapi import Request as HttpRequest
from pjrpc.common import Request, Response
from pjrpc.common.exceptions import DeserializationError
from pjrpc.server import JsonRpcError, MethodRegistry, exclude_positional_param
from pjrpc.server.exceptions import (
    InternalError,
    InvalidParamsError,
    InvalidRequestError,
    MethodNotFoundError,
)
from pjrpc.server.validators import ValidationError
from pjrpc.server.validators.pydantic import PydanticValidatorFactory
from pydantic import JsonValue

from api.authentication import User
from api.errors import response_to
from api.gateway import Gateway
from api.vdsm.errors import refused
from taskfish.errors import TaskfishError
from taskfish.redfish.privileges import VDSM

logger = logging.getLogger(__name__)

CallId = str | int | None


@dataclass(frozen=True)
class Call:
    """What a verb knows beside its parameters: who asks, and the call's own id."""

    http: HttpRequest
    gateway: Gateway
    user: User
    id: CallId = None


def verbs() -> MethodRegistry:
    """Return a registry of verbs: functions of a `Call`, then of their parameters,
    which are checked strictly by their annotations.
    """
    return MethodRegistry(
        PydanticValidatorFactory(exclude_positional_param(0), strict=True)
    )


async def answered(
    known: MethodRegistry,
    http: HttpRequest,
    gateway: Gateway,
    user: User,
    sent: JsonValue,
) -> Response | None:
    """Make a call and return its response; None for a notification, which gets none.

    A call without an id is a notification, one whose id is null is not.
    """
    try:
        request = _request(sent)
    except DeserializationError as error:
        return Response(error=InvalidRequestError(f"Invalid Request: {error}"))
    call = Call(http, gateway, user, request.id)
    try:
        response = Response(request.id, result=await _result(known, request, call))
    except JsonRpcError as error:
        response = Response(request.id, error=error)
    except TaskfishError as error:
        response = Response(request.id, error=refused(response_to(error, VDSM)))
    except Exception:
        logger.exception("%s failed", request.method)
        response = Response(request.id, error=InternalError())
    is_notification = isinstance(sent, dict) and "id" not in sent
    return None if is_notification else response


def _request(sent: JsonValue) -> Request:
    request = Request.from_json(sent)
    if isinstance(request.id, bool):
        raise DeserializationError("field 'id' must be of type integer or string")
    return request


async def _result(known: MethodRegistry, request: Request, call: Call) -> Any:
    verb = known.get(request.method)
    if verb is None:
        raise MethodNotFoundError(f"Method not found: {request.method[:80]}")
    try:
        bound = verb.bind(request.params, call)
    except ValidationError as error:
        raise InvalidParamsError(f"Invalid params: {_faults(error)}") from error
    return await bound()


def _faults(error: ValidationError) -> str:
    """Say which parameters are wrong and why, but not what was sent as them."""
    faults = (
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        for fault in error.args
    )
    return "; ".join(faults)[:1000]
