"""Long lists as Temporal keeps them: packed, as text.

Temporal writes a task's memo anew with each of its steps, and its input with each of
its runs. The URIs of 5,000 machines are 300 KB of JSON and 20 KB of this.
"""

import base64
import json
import zlib
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

LONG = 1024
"""Characters of JSON from which on a value is packed."""


def pack(value: Any) -> Any:
    """Return a value as it is kept: itself, or a text if it is long."""
    text = json.dumps(value)
    if len(text) < LONG:
        return value
    return base64.b64encode(zlib.compress(text.encode())).decode("ascii")


def unpack(kept: Any) -> Any:
    """Return what `pack` was given; what is no text was short."""
    if not isinstance(kept, str):
        return kept
    return json.loads(zlib.decompress(base64.b64decode(kept)))


_PACKED = (BeforeValidator(unpack), PlainSerializer(pack, when_used="json"))
Names = Annotated[tuple[str, ...], *_PACKED]
"""Names or URIs."""
Lists = Annotated[tuple[tuple[str, ...], ...], *_PACKED]
"""Several lists of them."""
