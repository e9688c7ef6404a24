"""Every error of Taskfish, by what its receiver may do about it.

TaskfishError
├── TransientError               the same thing may work later
│   ├── SourceUnreachableError   no connection: surely nothing was sent
│   ├── SourceBusyError          the source said 503: it did nothing
│   ├── AnswerLostError          sent, and no (whole) answer came back
│   ├── StoreUnavailableError    the relational store does not answer
│   └── TemporalUnavailableError Temporal does not answer
├── PermanentError               the same thing will not work again
│   ├── CredentialsRefusedError  the source refuses our user name and password
│   ├── PrivilegeMissingError    our account at the source may not do this
│   ├── PluginTaskGoneError      the source does not know its task any more
│   ├── ForeignUriError          the source points to another host
│   ├── AddressRefusedError      the address is one that may not be reached
│   ├── UnreadableAnswerError    the source's answer is not what the protocol says
│   ├── AbortRefusedError        the source does not abort its task
│   ├── PauseRefusedError        the source does not pause its task, or resume it
│   ├── SubscriptionRefusedError the source does not send us its events
│   ├── SourceUnknownError       no such AggregationSource (any more)
│   ├── TaskGoneError            the task was removed while it was read
│   ├── SecretsGoneError         the secrets of a change were deleted before it was sent
│   ├── UndecryptableError       a stored value cannot be decrypted
│   └── ConfigurationError       this process is set up wrongly
└── RequestRefusedError          the client's request is at fault

A TransientError or PermanentError names one message of the Base registry; the HTTP
status that goes with a message is looked up in `taskfish.redfish.messages`.
"""

from typing import ClassVar

from taskfish.redfish.messages import Message


class TaskfishError(Exception):
    """Root of the tree."""

    message_key: ClassVar[str] = "InternalError"


class TransientError(TaskfishError):
    """The same thing may work later."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class SourceUnreachableError(TransientError):
    """No connection came about: surely nothing was sent."""

    message_key = "CouldNotEstablishConnection"


class SourceBusyError(TransientError):
    """The source answered 503 or 429: it did nothing of what was asked."""

    message_key = "ServiceTemporarilyUnavailable"


class AnswerLostError(TransientError):
    """The request was sent and no whole answer came back: what it did is unknown."""

    message_key = "CouldNotEstablishConnection"


class StoreUnavailableError(TransientError):
    """The relational store does not answer."""

    message_key = "ServiceTemporarilyUnavailable"


class TemporalUnavailableError(TransientError):
    """Temporal does not answer."""

    message_key = "ServiceTemporarilyUnavailable"


class PermanentError(TaskfishError):
    """The same thing will not work again."""


class CredentialsRefusedError(PermanentError):
    """The source answered 401: trying again may lock our account there."""

    message_key = "ResourceAtUriUnauthorized"


class PrivilegeMissingError(PermanentError):
    """The source answered 403: our account there may not do this one thing."""

    message_key = "ResourceAtUriUnauthorized"


class PluginTaskGoneError(PermanentError):
    """The source answered 404 or 410 for its own task."""

    message_key = "ResourceMissingAtURI"


class ForeignUriError(PermanentError):
    """The source points to a scheme, host or port that is not its own."""

    message_key = "ResourceAtUriInUnknownFormat"


class AddressRefusedError(PermanentError):
    """The address is this machine's own, or another that may not be reached."""

    message_key = "CouldNotEstablishConnection"


class UnreadableAnswerError(PermanentError):
    """The source's answer is not what its protocol says."""

    message_key = "ResourceAtUriInUnknownFormat"


class AbortRefusedError(PermanentError):
    """The source does not abort the task it was asked to abort."""

    message_key = "OperationNotAllowed"


class PauseRefusedError(PermanentError):
    """The source does not pause the task it was asked to pause, or to resume."""

    message_key = "OperationNotAllowed"


class SubscriptionRefusedError(PermanentError):
    """The source has no events of its tasks, or does not send them to us."""

    message_key = "OperationNotAllowed"


class SourceUnknownError(PermanentError):
    """There is no such AggregationSource, or not any more."""

    message_key = "ResourceNotFound"


class TaskGoneError(PermanentError):
    """The task was there a moment ago, and has been removed while it was read."""

    message_key = "ResourceMissingAtURI"


class SecretsGoneError(PermanentError):
    """The secrets of a change are not kept any more: it cannot be sent whole."""

    message_key = "OperationFailed"


class UndecryptableError(PermanentError):
    """A stored value cannot be decrypted with the configured keys."""


class ConfigurationError(PermanentError):
    """This process is set up wrongly; the text says how to mend it."""


class RequestRefusedError(TaskfishError):
    """The client's request is at fault; `messages` say what and how to mend it."""

    def __init__(
        self,
        *messages: Message,
        status: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Take the messages of the error body, the most important first.

        `status` overrides the HTTP status that belongs to the first message.
        """
        super().__init__(messages[0].message)
        self.messages = messages
        self.status = status
        self.headers = headers or {}
