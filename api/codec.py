"""/codec: Temporal's remote codec, by which its Web UI and command read payloads (D10).

A payload does not say whose task it belongs to, and it may hold a final answer or what
HidePayload hides. So to decode needs ConfigureManager. To encode shows nothing: it is
for all who may make changes, so that what they send to a task from the Web UI is
encrypted too. Either works in threads of its own: no request holds up the others.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from pydantic import JsonValue
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadCodec

from api.bodies import check_media_type, limited
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from taskfish.errors import UndecryptableError
from taskfish.redfish.privileges import CODEC_DECODE, CODEC_ENCODE

MAX_BODY_BYTES = 6 << 20
"""One event's payloads have 4 MiB at most, which Base64 makes longer by a third."""
MAX_PAYLOADS = 1000
MAX_ITEMS = 20 * MAX_PAYLOADS
"""Of all lists and objects together: a payload has some ten."""
PREFLIGHT_SECONDS = 600
_AT_ONCE = 2
_THREADS = ThreadPoolExecutor(_AT_ONCE, "codec")
_Work = Callable[[list[Payload]], Coroutine[Any, Any, list[Payload]]]

logger = logging.getLogger(__name__)


router = APIRouter(include_in_schema=False)


@router.post(CODEC_DECODE)
async def decode(request: Request, gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return payloads decrypted, those as they are whose key is not configured.

    One lost key hides no other payload: the Web UI shows nothing of a refused request.
    """
    codec = _codec(gateway)
    return await _answer(request, lambda payloads: _decoded(codec, payloads))


@router.post(CODEC_ENCODE)
async def encode(request: Request, gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return payloads encrypted, as the input of a signal has to be."""
    return await _answer(request, _codec(gateway).encode)


class CodecOrigin:
    """Lets pages of one other origin use the codec: Temporal's Web UI (CORS).

    It answers their preflight requests, which come without a login.
    """

    def __init__(self, app: ASGIApp, origin: str) -> None:
        self._app = app
        self._with_cors = CORSMiddleware(
            app,
            allow_origins=[origin],
            allow_methods=["POST"],
            allow_headers=["Content-Type", "X-Namespace"],
            allow_credentials=True,
            max_age=PREFLIGHT_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_codec = scope["type"] == "http" and scope["path"] in _PATHS
        await (self._with_cors if is_codec else self._app)(scope, receive, send)


_PATHS = (CODEC_DECODE, CODEC_ENCODE)


def _codec(gateway: Gateway) -> PayloadCodec:
    codec = gateway.temporal.data_converter.payload_codec
    assert codec is not None, "the gateway's client encrypts"
    return codec


async def _answer(request: Request, work: _Work) -> Response:
    """Return what work makes of the body's payloads.

    Raises 400 unless that is `{"payloads": […]}` in protobuf's JSON, 413 if it has too
    many of them.
    """
    raw = await limited(request, MAX_BODY_BYTES)
    check_media_type(request)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREADS, _worked, raw, work)


def _worked(raw: bytes, work: _Work) -> Response:
    payloads = asyncio.run(work(_parsed(raw)))
    found = MessageToDict(Payloads(payloads=payloads))
    body = {"payloads": found.get("payloads", [])}
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def _parsed(raw: bytes) -> list[Payload]:
    # Before it is parsed: that takes far more time and memory than the bytes do.
    _check_number(sum(raw.count(mark) for mark in b",[{"), MAX_ITEMS)
    try:
        body: JsonValue = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise refuse("MalformedJSON") from error
    payloads = body.get("payloads") if isinstance(body, dict) else None
    if not isinstance(payloads, list):
        raise refuse("UnrecognizedRequestBody", text="The body has no payloads.")
    _check_number(len(payloads), MAX_PAYLOADS)
    try:
        # A newer Web UI may send more of a payload than is known here.
        found = ParseDict(
            {"payloads": payloads}, Payloads(), ignore_unknown_fields=True
        )
    except (ParseError, RecursionError) as error:
        text = "The body's payloads are not Temporal's, in the JSON form of protobuf."
        raise refuse("UnrecognizedRequestBody", text=text) from error
    return list(found.payloads)


def _check_number(number: int, most: int) -> None:
    if number > most:
        text = f"The body has more than {MAX_PAYLOADS} payloads, or too much in them."
        raise refuse("PayloadTooLarge", text=text)


async def _decoded(codec: PayloadCodec, payloads: list[Payload]) -> list[Payload]:
    found, reasons = [], set()
    for payload in payloads:
        try:
            found += await codec.decode([payload])
        except UndecryptableError as error:
            found.append(payload)
            reasons.add(str(error))
    for reason in sorted(reasons):
        logger.warning("payloads stay as they are: %s", reason)
    return found
