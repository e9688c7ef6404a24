"""The one place where our errors become Temporal's (D15)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from taskfish.errors import PermanentError, TaskfishError, TransientError
from taskfish.redfish.messages import base_message
from taskfish.redfish.task import Answer
from taskfish.redfish.verdicts import failed_answer


@contextmanager
def as_application_errors(target: str) -> Iterator[None]:
    """Raise `ApplicationError` for our errors; `details` hold the final answer.

    `target` is the URI that people are told about. What may work later is retried as
    the retry policy says, and is no noise in the worker's log.
    """
    try:
        yield
    except TaskfishError as error:
        delay = error.retry_after if isinstance(error, TransientError) else None
        raise ApplicationError(
            str(error),
            answer_to(error, target),
            type=type(error).__name__,
            non_retryable=isinstance(error, PermanentError),
            next_retry_delay=timedelta(seconds=delay) if delay else None,
            category=ApplicationErrorCategory.BENIGN,
        ) from error


def answer_to(error: TaskfishError, target: str) -> Answer:
    """Return the final answer of a change that ended with this error."""
    args = {
        "ResourceAtUriUnauthorized": (target, str(error)),
        "ServiceTemporarilyUnavailable": ("5",),
        "ResourceNotFound": ("AggregationSource", target),
    }.get(error.message_key, (target,))
    return failed_answer(
        base_message(error.message_key, *_without_surplus(error, args), text=str(error))
    )


def _without_surplus(error: TaskfishError, args: tuple[str, ...]) -> tuple[str, ...]:
    no_args = {"InternalError", "OperationNotAllowed", "OperationFailed"}
    return () if error.message_key in no_args else args
