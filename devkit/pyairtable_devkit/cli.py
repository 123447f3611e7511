"""The command `pyairtable-devkit`: the emulators, the databases, the whole stack, the demo.

Each command imports what it runs when it runs: the demo starts the emulators through this very command line, and
should not wait for them to import each other.
"""

import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from pyairtable_devkit.cluster.cli import app as cluster
from pyairtable_devkit.images.cli import app as images

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="For development: emulators of Airtable and Gemini, embedded databases, the whole system on one machine.",
)
app.add_typer(cluster, name="cluster")
app.add_typer(images, name="images")
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}  # --help included

DataOption = Annotated[Path, typer.Option("--data", help="Folder for databases and logs.")]
WorkspacesOption = Annotated[Path, typer.Option("--workspaces", help="Folder of Workspace documents.")]
HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.")]
OffsetOption = Annotated[int, typer.Option("--port-offset", help="Added to every port, if the usual are taken.")]


@app.command(context_settings=_PASS_ON, add_help_option=False)
def airtable(context: typer.Context) -> None:
    """Run the Airtable emulator (options: --help)."""
    _run_emulator("pyairtable_devkit.airtable.server", context)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def gemini(context: typer.Context) -> None:
    """Run the Gemini emulator (options: --help)."""
    _run_emulator("pyairtable_devkit.gemini.server", context)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def mailbox(context: typer.Context) -> None:
    """Run the mailbox: letters in by SMTP, shown over HTTP (options: --help)."""
    _run_emulator("pyairtable_devkit.mailbox.server", context)


@app.command()
def demo(
    leave: Annotated[bool, typer.Option("--exit", help="Stop everything afterwards; 0 if each step held.")] = False,
    write: Annotated[bool, typer.Option("--write", help="With real credentials: create and update too.")] = False,
    data: DataOption = Path(".devkit"),
    workspaces: WorkspacesOption = Path("examples/acme"),
    port_offset: OffsetOption = 0,
) -> None:
    """Start everything, show the main job, check every answer, and stay up until Ctrl-C."""
    from pyairtable_devkit import launch

    everything = partial(launch.everything, data, workspaces, port_offset, dict(os.environ))
    raise typer.Exit(everything(with_demo=True, stay=not leave, write=write))


@app.command()
def up(
    data: DataOption = Path(".devkit"),
    workspaces: WorkspacesOption = Path("examples/acme"),
    port_offset: OffsetOption = 0,
) -> None:
    """Start everything and stay up until Ctrl-C."""
    from pyairtable_devkit import launch

    everything = partial(launch.everything, data, workspaces, port_offset, dict(os.environ))
    raise typer.Exit(everything(with_demo=False, stay=True, write=True))


@app.command()
def e2e_local(
    data: DataOption = Path(".devkit/e2e"),
    workspaces: WorkspacesOption = Path("examples/acme"),
    port_offset: OffsetOption = 0,
) -> None:
    """Start everything, use it as people do, and print six lines: what holds, and what does not."""
    from pyairtable_devkit.e2e import run

    raise typer.Exit(run.e2e_local(data, workspaces, port_offset, dict(os.environ)))


@app.command()
def postgres(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 15432,
    data: DataOption = Path(".devkit/postgres"),
    host: HostOption = "127.0.0.1",
) -> None:
    """Run the embedded PostgreSQL until Ctrl-C."""
    from pyairtable_devkit import databases, launch

    raise typer.Exit(launch.database(databases.Postgres, data, port, host))


@app.command()
def valkey(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 16379,
    data: DataOption = Path(".devkit/valkey"),
    host: HostOption = "127.0.0.1",
) -> None:
    """Run the embedded Valkey until Ctrl-C; it keeps nothing on disk."""
    from pyairtable_devkit import databases, launch

    raise typer.Exit(launch.database(databases.Valkey, data, port, host))


def _run_emulator(module: str, context: typer.Context) -> None:
    """Hand the rest of the command line to the emulator's own command."""
    single = typer.Typer(add_completion=False)
    single.command()(import_module(module).command)
    single(args=context.args, prog_name=context.command_path)
