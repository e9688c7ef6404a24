"""What becomes of a delivery that fails again and again (DeliveryRetryPolicy)."""

import random
from typing import Literal

from taskfish.settings import Settings
from taskfish.store.subscriptions import RetryPolicy

LONGEST_BACKOFF = 600.0
"""Seconds after which at the latest a subscriber is tried again, if it is at all."""

Verdict = Literal["retry", "suspend", "terminate"]


def verdict_on(policy: RetryPolicy, failures: int, settings: Settings) -> Verdict:
    """Say what follows the last of so many failures in a row.

    `delivery_retry_attempts` counts the retries: the first try is none.
    """
    if failures <= settings.delivery_retry_attempts:
        return "retry"
    if policy == "TerminateAfterRetries":
        return "terminate"
    return "suspend" if policy == "SuspendRetries" else "retry"


def pause_after(policy: RetryPolicy, failures: int, settings: Settings) -> float:
    """Return for how many seconds a subscriber is left alone after a failure."""
    interval = settings.delivery_retry_interval
    if policy != "RetryForeverWithBackoff":
        return interval
    longest = max(interval, LONGEST_BACKOFF)
    # Beyond 64 doublings a float would grow without end.
    backoff = min(interval * 2.0 ** min(failures - 1, 64), longest)
    return backoff * random.uniform(0.8, 1.0)
