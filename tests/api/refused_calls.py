"""What Temporal says when it refuses: any call, by a gRPC status of our choice."""

import asyncio

from temporalio.service import RPCStatusCode

_PREFACE_LENGTH = 24
_HEAD_LENGTH = 9
_DATA, _HEADERS, _SETTINGS, _PING = 0, 1, 4, 6
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_STATUS_200 = b"\x88"


async def refuse_call(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: RPCStatusCode
) -> None:
    """Refuse the first call of a connection (RFC 9113; gRPC's "Trailers-Only").

    Raises `IncompleteReadError` for a connection that ends before a call.
    """
    await reader.readexactly(_PREFACE_LENGTH)
    writer.write(_frame(_SETTINGS))
    while True:
        head = await reader.readexactly(_HEAD_LENGTH)
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:])
        payload = await reader.readexactly(int.from_bytes(head[:3]))
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            writer.write(_frame(kind, _ACK, payload=payload if kind == _PING else b""))
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            writer.write(_refusal(stream, status))
            return await writer.drain()


def _refusal(stream: int, status: RPCStatusCode) -> bytes:
    fields = _field("content-type", "application/grpc")
    fields += _field("grpc-status", str(status.value))
    return _frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, _STATUS_200 + fields)


def _field(name: str, value: str) -> bytes:
    """Return a header in HPACK, literally (RFC 7541 6.2.2)."""
    written = (bytes([len(text)]) + text.encode() for text in (name, value))
    return b"\x00" + b"".join(written)


def _frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return (
        len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload
    )
