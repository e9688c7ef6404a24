"""The `taskfish` command."""

import asyncio
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from taskfish.cli.power_words import PowerWord
from taskfish.errors import TaskfishError

# What a command needs is imported inside it, so that `--help` is quick.

app = typer.Typer(
    name="taskfish",
    help="A Redfish gateway in which every change to a machine is a durable task.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
store_commands = typer.Typer(help="The relational store.", no_args_is_help=True)
temporal_commands = typer.Typer(help="The Temporal namespace.", no_args_is_help=True)
key_commands = typer.Typer(help="Encryption keys.", no_args_is_help=True)
power_commands = typer.Typer(help="The power of machines.", no_args_is_help=True)
app.add_typer(store_commands, name="db")
app.add_typer(temporal_commands, name="temporal")
app.add_typer(key_commands, name="keys")
app.add_typer(power_commands, name="power")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def run() -> None:
    """Run the command; an error of ours is one sentence and exit code 2."""
    code = _exit_code()
    sys.stdout.flush()
    sys.stderr.flush()
    if "temporalio" in sys.modules:
        # The ordinary end of a process that used its runtime, as Worker or as mere
        # Client, crashes now and then with 134 or 139.
        os._exit(code)
    sys.exit(code)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"taskfish {version('taskfish')}")
        raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Take the options that come before a command."""


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of the API; 0: any.")] = 8000,
    data_dir: Annotated[Path, typer.Option(help="Where all data is kept.")] = Path(
        ".taskfish"
    ),
    systems: Annotated[int, typer.Option(min=0, help="Systems behind the plugin.")] = 4,
    bmcs: Annotated[int, typer.Option(min=0, help="Systems with Redfish BMCs.")] = 1,
    emulator: Annotated[bool, typer.Option(help="Run emulated machines.")] = True,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve https, with a local authority.")
    ] = False,
) -> None:
    """Run everything on this machine: Temporal, store, worker, API, emulator."""
    from taskfish.cli.dev import DevOptions, run_dev

    counts = (systems, bmcs) if emulator else (0, 0)
    asyncio.run(run_dev(DevOptions(port, data_dir, *counts, tls)))


@app.command()
def demo(
    keep: Annotated[bool, typer.Option(help="Go on running until Ctrl-C.")] = False,
    tls: Annotated[bool, typer.Option("--tls", help="Do it over https.")] = False,
) -> None:
    """Show a volume that needs a reset, and the reset, on emulated machines."""
    from taskfish.cli.demo import run_demo

    raise typer.Exit(asyncio.run(run_demo(keep, tls)))


@app.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Serve the northbound REST API: https with TASKFISH_TLS_CERT and its key."""
    from taskfish.cli.api_server import serve
    from taskfish.settings import load_settings

    settings = load_settings()

    def make() -> object:
        from api.app import create_app

        return create_app(settings)

    serve(make, settings, host, port)


@app.command()
def worker() -> None:
    """Run the worker: workflows and their calls to machines."""
    import worker as composition
    from taskfish.settings import load_settings

    asyncio.run(composition.main(load_settings()))


@app.command("run")
def run_plan(
    plan: Annotated[Path, typer.Argument(help="A plan in YAML or JSON; - : stdin.")],
    task_id: Annotated[
        str | None, typer.Option(help="The Id that the task shall have.")
    ] = None,
    as_json: AsJson = False,
    cancel_on_interrupt: Annotated[
        bool, typer.Option(help="Cancel the task at Ctrl-C.")
    ] = False,
) -> None:
    """Run a plan of Redfish requests as one task at TASKFISH_URL: 1 if it fails."""
    from taskfish.cli.run_plan import RunOptions, run_plan
    from taskfish.settings import load_settings

    options = RunOptions(plan, task_id, as_json, cancel_on_interrupt)
    raise typer.Exit(asyncio.run(run_plan(load_settings(), options)))


@app.command()
def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it for programs.")
    ] = False,
) -> None:
    """Check the set-up of this environment, and say what to mend; 1 if it is wrong."""
    from taskfish.cli.doctor import examine, show

    raise typer.Exit(show(asyncio.run(examine()), as_json=as_json))


@store_commands.command()
def upgrade() -> None:
    """Bring the store to the newest schema; safe to repeat."""
    from taskfish.settings import load_settings
    from taskfish.store.database import upgrade as upgrade_store

    asyncio.run(upgrade_store(load_settings().database_url))


@temporal_commands.command()
def setup(
    retention_hours: Annotated[
        int, typer.Option(min=24, help="Keep ended tasks at least so long.")
    ] = 72,
) -> None:
    """Prepare the namespace of TEMPORAL_*: search attributes and retention."""
    from datetime import timedelta

    from taskfish.cli.temporal_setup import set_up_configured

    asyncio.run(set_up_configured(timedelta(hours=retention_hours)))


@key_commands.command()
def generate() -> None:
    """Print a new key for TASKFISH_ENCRYPTION_KEYS."""
    from taskfish.encryption import generate_key

    typer.echo(generate_key())


@key_commands.command()
def rotate() -> None:
    """Seal the store with the first key; say who still needs the others."""
    from taskfish.cli.keys import rotate as rotate_keys
    from taskfish.settings import load_settings

    asyncio.run(rotate_keys(load_settings()))


@power_commands.command("set")
def set_power(
    node: Annotated[str, typer.Argument(help="Name or UUID, as rack7.1.")],
    target: Annotated[PowerWord, typer.Argument(help="What is to be done.")],
    timeout: Annotated[
        int | None, typer.Option(min=1, help="Abort it after so many seconds.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change the power of a machine, or abort a change; at TASKFISH_URL."""
    from taskfish.cli.power import set_power as ask
    from taskfish.settings import load_settings

    asyncio.run(ask(load_settings(), node, target, timeout, as_json))


@power_commands.command()
def states(
    node: Annotated[str, typer.Argument(help="Name or UUID, as rack7.1.")],
    as_json: AsJson = False,
) -> None:
    """Show what the power of a machine is, and what it can be asked for."""
    from taskfish.cli.power import show_states
    from taskfish.settings import load_settings

    asyncio.run(show_states(load_settings(), node, as_json))


def _exit_code() -> int:
    try:
        app()
    except TaskfishError as error:
        typer.echo(f"taskfish: {error}", err=True)
        return 2
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


if __name__ == "__main__":
    run()
