"""What is legal JSON, and yet nothing that could be kept or sent on."""

import json

from pydantic import JsonValue


def check_encodable(value: JsonValue) -> None:
    """Raise ValueError for a value with a lone surrogate: UTF-8 has none.

    Raises RecursionError for one that is nested too deeply to be written.
    """
    json.dumps(value, ensure_ascii=False).encode()
