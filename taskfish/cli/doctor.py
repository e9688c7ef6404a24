"""`taskfish doctor`: what the set-up of a process lacks, and what mends it.

It changes nothing, and may be asked beside all that runs.
"""

import json
from collections.abc import Sequence

import typer

from taskfish.cli.findings import Finding, wrong
from taskfish.cli.serving_checks import check_serving
from taskfish.cli.store_checks import check_store
from taskfish.cli.temporal_checks import check_temporal
from taskfish.errors import ConfigurationError
from taskfish.settings import load_settings

_WIDTH = 8


async def examine() -> list[Finding]:
    """Return what there is to say of the environment's settings."""
    try:
        settings = load_settings()
    except ConfigurationError as error:
        mend = "Correct the variables: docs/configuration.md has them all."
        return [wrong("settings", str(error), mend)]
    kept_for, found = await check_store(settings)
    return [*found, *await check_temporal(kept_for), *check_serving(settings)]


def show(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print findings for people or programs; return 1 if one is wrong, else 0."""
    code = int(any(finding.level == "wrong" for finding in findings))
    if as_json:
        found = [finding.model_dump(exclude_none=True) for finding in findings]
        typer.echo(json.dumps({"ok": code == 0, "findings": found}, indent=2))
        return code
    for finding in findings:
        typer.echo(f"{finding.level:{_WIDTH}}{finding.check}: {finding.text}")
        if finding.mend:
            typer.echo(f"{'':{_WIDTH}}→ {finding.mend}")
    return code
