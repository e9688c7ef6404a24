"""Temporal as Taskfish uses it: one client for api, worker and tests; its names.

Every payload, memo and failure is encrypted (D10); search attributes, workflow ids and
types are clear text and hold nothing secret.
"""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
    PayloadConverter,
)
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.exceptions import FailureError

from taskfish.encryption import Keyring
from taskfish.errors import ConfigurationError, TemporalUnavailableError

RPC_TIMEOUT = timedelta(seconds=3)
"""Every call to Temporal ends within this (contracts.md 3)."""

DEFAULT_ADDRESS = "localhost:7233"
"""Where Temporal is if neither environment nor profile says so."""
ENCODING = b"binary/aes-256-gcm"
SHOWN_FAILURE = 3000
"""Bytes of a failure before its encryption, which adds less than the rest of 4 KiB."""
MAX_FAILURE_TEXT = 800
"""Bytes of the message and of the stack of a failure that is too long."""

TASK_STATE = SearchAttributeKey.for_keyword("TaskState")
TASK_STATUS = SearchAttributeKey.for_keyword("TaskStatus")
TASK_NAME = SearchAttributeKey.for_keyword("TaskName")
TASK_OPERATION = SearchAttributeKey.for_keyword("TaskOperation")
TASK_TARGET = SearchAttributeKey.for_keyword("TaskTarget")
TASK_RESOURCE_TYPE = SearchAttributeKey.for_keyword("TaskResourceType")
TASK_SOURCE = SearchAttributeKey.for_keyword("TaskSource")
TASK_OWNER = SearchAttributeKey.for_keyword("TaskOwner")
TASK_REQUEST_ID = SearchAttributeKey.for_keyword("TaskRequestId")
PLUGIN_TASK = SearchAttributeKey.for_keyword("PluginTask")
TASK_TAGS = SearchAttributeKey.for_keyword_list("TaskTags")
TASK_RESOURCES = SearchAttributeKey.for_keyword_list("TaskResources")
TASK_BEGAN = SearchAttributeKey.for_datetime("TaskBegan")
TASK_ENDED = SearchAttributeKey.for_datetime("TaskEnded")
"""When an adopted task began and ended at its source: its run knows other times."""

MAX_SEARCH_ATTRIBUTE = 255
"""PostgreSQL refuses more, SQLite does not: so it is enforced in our code."""


def time_in_query(moment: datetime) -> str:
    """Return a moment as visibility queries have it, between quotes."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def waiting_queue(task_queue: str) -> str:
    """Return the task queue of activities that wait, kept apart from those that act."""
    return f"{task_queue}-wait"


async def connect(keyring: Keyring, *, lazy: bool = False) -> Client:
    """Connect as TEMPORAL_* variables and profiles say (temporalio's envconfig).

    A lazy client needs no server until its first call; workers need a real one, and
    get `TemporalUnavailableError` without.
    """
    options = connect_options()
    try:
        return await Client.connect(
            **options, data_converter=data_converter(keyring), lazy=lazy
        )
    except RuntimeError as error:
        raise TemporalUnavailableError(
            f"Temporal does not answer at {options['target_host']}: check "
            "TEMPORAL_ADDRESS, TEMPORAL_TLS and that it runs"
        ) from error


def connect_options() -> ClientConnectConfig:
    """Return address, namespace, TLS, API key… of TEMPORAL_* variables and profiles.

    Raises ConfigurationError if a file that they name cannot be used.
    """
    try:
        found = ClientConfig.load_client_connect_config()
    except (RuntimeError, OSError) as error:
        # Further lines of it quote the profile, perhaps its API key.
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(
            f"the TEMPORAL_* variables or their profile cannot be used: {reason}"
        ) from None
    found.setdefault("target_host", DEFAULT_ADDRESS)
    return found


def data_converter(keyring: Keyring) -> DataConverter:
    """Return the converter: pydantic models, encrypted, failures included."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=EncryptionCodec(keyring),
        failure_converter_class=ShortFailureConverter,
    )


class ShortFailureConverter(DefaultFailureConverterWithEncodedAttributes):
    """Has each failure say what it is within what Temporal shows of an attempt.

    Temporal replaces the failure of an attempt by one of its own if it is longer than
    4 KiB (`limit.mutableStateActivityFailureSize.error`), and a Python exception with
    its causes and their stacks is: an operator would not see why it is tried again.
    """

    def to_failure(
        self,
        exception: BaseException,
        payload_converter: PayloadConverter,
        failure: Failure,
    ) -> None:
        """Convert as Temporal does; of what is too long with the end of its stack only,
        and then without a cause that is still too much. Details are left as they are,
        and causes of Temporal's own kinds, which may have some.
        """
        super().to_failure(exception, payload_converter, failure)
        if failure.ByteSize() <= SHOWN_FAILURE:
            return
        with_attributes = failure.encoded_attributes
        words = payload_converter.from_payloads([with_attributes])[0]
        message, stack = words["message"].encode(), words["stack_trace"].encode()
        short = {
            "message": message[:MAX_FAILURE_TEXT].decode(errors="ignore"),
            "stack_trace": stack[-MAX_FAILURE_TEXT:].decode(errors="ignore"),
        }
        with_attributes.CopyFrom(payload_converter.to_payloads([short])[0])
        cause = exception.__cause__ or exception.__context__
        if failure.ByteSize() > SHOWN_FAILURE and not isinstance(cause, FailureError):
            failure.ClearField("cause")


class EncryptionCodec(PayloadCodec):
    """Encrypts whole payloads; lets through what was never encrypted when decoding."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal each payload with its metadata."""
        return [
            Payload(
                metadata={"encoding": ENCODING},
                data=self._keyring.seal(payload.SerializeToString()),
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open each sealed payload; raise UndecryptableError if its key is unknown."""
        return [self._decode(payload) for payload in payloads]

    def _decode(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        return Payload.FromString(self._keyring.open(payload.data))
