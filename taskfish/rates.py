"""How often something may happen, as a setting says it: "30/minute"."""

import re
from dataclasses import dataclass

_RATE = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True)
class Rate:
    """So many times within so many seconds."""

    amount: int
    seconds: int


def parse_rate(text: str) -> Rate:
    """Return the rate that a text names; raises ValueError if it names none."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(
            'must be a rate, "30/minute" for one: of a second, minute, hour or day'
        )
    return Rate(int(found[1]), _SECONDS[found[2]])
