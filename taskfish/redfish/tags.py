"""Words to find a task by: what a tag may be, and how many a task has."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

MOST_TAGS = 16
_PATTERN = r"[!-+\--~]{1,64}"
"""Visible ASCII; a comma separates the tags of a header."""
_TAG = re.compile(_PATTERN)

Tag = Annotated[str, Field(pattern=f"^{_PATTERN}$")]
Tags = Annotated[list[Tag], Field(max_length=MOST_TAGS)]
"""The tags of a task in a body."""


def are_tags(values: Sequence[str]) -> bool:
    """Say whether these may be the tags of a task."""
    return len(values) <= MOST_TAGS and all(_TAG.fullmatch(each) for each in values)
