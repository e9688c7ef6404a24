"""What is kept of a change: in the store's files, and in Temporal as it has it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from sqlalchemy.engine import make_url
from temporalio.api.common.v1 import Payload
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import WorkflowHandle

from tests.house import House


def database_bytes(house: House) -> bytes:
    """Return every byte of the house's SQLite files, deleted rows and log included.

    Another process reads them: to close such a file here would drop SQLite's own locks
    on it, and its connections would read what is long gone.
    """
    name = make_url(house.settings.database_url).database
    assert name is not None
    files = [name, f"{name}-wal"] if Path(f"{name}-wal").exists() else [name]
    return subprocess.run(["cat", *files], capture_output=True, check=True).stdout


async def raw_history(house: House, handle: WorkflowHandle[Any, Any]) -> bytes:
    """Return every byte that Temporal has of a workflow's history and description."""
    return b"".join(
        message.SerializeToString() for message in await _kept(house, handle)
    )


async def readable_history(house: House, handle: WorkflowHandle[Any, Any]) -> bytes:
    """Return what somebody with our keys reads in all payloads of a workflow."""
    payloads = [
        payload for message in await _kept(house, handle) for payload in _in(message)
    ]
    codec = house.temporal.data_converter.payload_codec
    assert codec is not None
    return b"\n".join(payload.data for payload in await codec.decode(payloads))


async def _kept(house: House, handle: WorkflowHandle[Any, Any]) -> list[Message]:
    description = await handle.describe()
    request = GetWorkflowExecutionHistoryRequest(
        namespace=house.temporal.namespace,
        execution=description.raw_description.workflow_execution_info.execution,
    )
    service = house.temporal.workflow_service
    history = await service.get_workflow_execution_history(request)
    assert not history.next_page_token
    return [history, description.raw_description]


def _in(message: Message) -> Iterator[Payload]:
    """Yield every Payload in a message, however deep."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            items = [item for item in value.values() if isinstance(item, Message)]
        else:
            items = [value] if isinstance(value, Message) else list(value)
        for item in items:
            yield from _in(item)
