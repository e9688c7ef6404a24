"""Time-outs and retry policies, by name (style guide 5.3)."""

from datetime import timedelta

from temporalio.common import RetryPolicy

ONCE = RetryPolicy(maximum_attempts=1)
"""For what must not be repeated by Temporal: sending a change."""

UNTIL_DONE = RetryPolicy(
    initial_interval=timedelta(seconds=0.2),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=30),
)
"""For what is harmless to repeat and has to be done."""

A_SENDING_AT_MOST = timedelta(hours=1)
"""Backstop of one submit: the source's own answer time-out ends it far earlier."""
A_LOOK_AT_MOST = timedelta(days=1)
A_WAIT_AT_MOST = timedelta(days=365)
"""Backstop of a wait: only its heartbeat and the source end it."""
AN_ADMISSION_AT_MOST = timedelta(hours=1)
"""Backstop of one reading of all that a source has."""
A_CALL_AT_MOST = timedelta(minutes=5)
A_SEARCH_AT_MOST = timedelta(seconds=10)
"""After which it is given up: cutting the power must not wait for what is found."""
A_REMOVAL_AT_MOST = timedelta(hours=1)
"""Backstop of one attempt to remove many tasks: the next one goes on."""
A_REMOVAL_BEATS = timedelta(seconds=10)
"""After how long without a sign of life it is begun by another worker."""

FIRST_RETRY_PAUSE = 0.5
LONGEST_RETRY_PAUSE = 15.0
LEAST_LOOK = 30.0
"""How long a look goes on at least, however late it begins."""
