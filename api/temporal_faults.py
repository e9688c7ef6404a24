"""What a call to Temporal raises that fails, and what clients get for it."""

from temporalio.service import RPCError, RPCStatusCode

from taskfish.errors import TaskfishError, TaskGoneError, TemporalUnavailableError

TEMPORAL_FAULTS = (RPCError, RuntimeError)
"""What a call raises that fails; a client that cannot connect gives RuntimeError."""
_NO_SUCH_RUN = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)


def unavailable(error: Exception) -> TemporalUnavailableError:
    """Return our error for a call to Temporal that failed."""
    why = f" ({error.status.name})" if isinstance(error, RPCError) else ""
    return TemporalUnavailableError(f"Temporal does not answer{why}")


def unread(error: Exception) -> TaskfishError:
    """Return our error for a failed call about a run that was there just before."""
    if says_no_such_run(error):
        return TaskGoneError("The task has been removed.")
    return unavailable(error)


def says_no_such_run(error: Exception) -> bool:
    """Say whether Temporal knows no such run, or none that is still open."""
    return isinstance(error, RPCError) and error.status in _NO_SUCH_RUN
