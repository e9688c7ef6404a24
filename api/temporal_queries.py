"""Values in queries of Temporal's visibility."""

from taskfish.temporal import MAX_SEARCH_ATTRIBUTE


def quoted(value: str) -> str:
    """Return a value of a search attribute as a query has it: names may have quotes."""
    kept = value[:MAX_SEARCH_ATTRIBUTE]
    return "'" + kept.replace("\\", "\\\\").replace("'", "\\'") + "'"
