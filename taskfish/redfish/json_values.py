"""What Python takes for JSON, and yet nothing that could be kept or sent on."""

import json
import math
from typing import NoReturn

from pydantic import JsonValue


def refuse_constant(name: str) -> NoReturn:
    """Raise ValueError: NaN and Infinity, which `json.loads` takes, are not JSON."""
    raise ValueError(f"{name} is not JSON")


def finite_number(digits: str) -> float:
    """Return the number; raise ValueError for one that no float is as large as."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("the number is out of range")
    return number


def check_encodable(value: JsonValue) -> None:
    """Raise ValueError for a value with a lone surrogate: UTF-8 has none.

    Raises RecursionError for one that is nested too deeply to be written.
    """
    json.dumps(value, ensure_ascii=False).encode()
