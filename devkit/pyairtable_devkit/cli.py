"""The command `pyairtable-devkit`: the emulators, the databases, the whole stack, the demo."""

import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Annotated, NoReturn

import psutil  # type: ignore[import-untyped]
import typer
from rich.console import Console

from pyairtable_devkit import topology
from pyairtable_devkit.databases import Database, DatabaseError, Postgres, Valkey
from pyairtable_devkit.demo.run import Demo, run
from pyairtable_devkit.demo.show import Show
from pyairtable_devkit.ports import PortTakenError
from pyairtable_devkit.stack import StopRequestedError, stop_signals

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}  # --help included

DataOption = Annotated[Path, typer.Option("--data", help="Folder for databases and logs.")]
WorkspacesOption = Annotated[Path, typer.Option("--workspaces", help="Folder of Workspace documents.")]
OffsetOption = Annotated[int, typer.Option("--port-offset", help="Added to every port, if the usual are taken.")]


@app.command(context_settings=_PASS_ON, add_help_option=False)
def airtable(context: typer.Context) -> None:
    """Run the Airtable emulator (options: --help)."""
    _run_emulator("pyairtable_devkit.airtable.server", context)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def gemini(context: typer.Context) -> None:
    """Run the Gemini emulator (options: --help)."""
    _run_emulator("pyairtable_devkit.gemini.server", context)


@app.command()
def demo(
    leave: Annotated[bool, typer.Option("--exit", help="Stop everything afterwards; 0 if each step held.")] = False,
    write: Annotated[bool, typer.Option("--write", help="With real credentials: create and update too.")] = False,
    data: DataOption = Path(".devkit"),
    workspaces: WorkspacesOption = Path("examples/acme"),
    port_offset: OffsetOption = 0,
) -> None:
    """Start everything, show the main job, check every answer, and stay up until Ctrl-C."""
    began = float(psutil.Process().create_time())
    show = Show(Console())
    plan = _plan(data, workspaces, port_offset, write=write)
    _introduce(plan, show)
    steps = Demo(write=write, seconds=lambda: time.time() - began)
    raise typer.Exit(run(plan, show, steps=steps, stay=not leave))


@app.command()
def up(
    data: DataOption = Path(".devkit"),
    workspaces: WorkspacesOption = Path("examples/acme"),
    port_offset: OffsetOption = 0,
) -> None:
    """Start everything and stay up until Ctrl-C."""
    show = Show(Console())
    plan = _plan(data, workspaces, port_offset, write=True)
    _introduce(plan, show)
    raise typer.Exit(run(plan, show, steps=None, stay=True))


@app.command()
def postgres(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = topology.POSTGRES_PORT,
    data: DataOption = Path(".devkit/postgres"),
) -> None:
    """Run the embedded PostgreSQL until Ctrl-C."""
    _serve(Postgres, data, port)


@app.command()
def valkey(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = topology.VALKEY_PORT,
    data: DataOption = Path(".devkit/valkey"),
) -> None:
    """Run the embedded Valkey until Ctrl-C; it keeps nothing on disk."""
    _serve(Valkey, data, port)


def _run_emulator(module: str, context: typer.Context) -> None:
    """Import the emulator only now: the demo should not wait for what it starts as a process of its own."""
    single = typer.Typer(add_completion=False)
    single.command()(import_module(module).command)
    single(args=context.args, prog_name=context.command_path)


def _serve(kind: type[Database], data: Path, port: int) -> None:
    try:
        with stop_signals(), kind.start(data, port) as database:
            typer.echo(database.url)
            while database.is_running():
                time.sleep(0.5)
            _give_up(f"{database.name} has ended; its log is {database.log_path}")
    except StopRequestedError:
        return
    except (DatabaseError, PortTakenError) as error:
        _give_up(str(error))


def _plan(data: Path, workspaces: Path, port_offset: int, *, write: bool) -> topology.Plan:
    environment = dict(os.environ)
    try:
        upstreams = topology.choose_upstreams(environment, port_offset)
    except topology.MissingVariableError as error:
        _give_up(str(error))
    folder = workspaces.resolve()
    if not upstreams.emulated:
        folder = data.resolve() / "workspaces"
        bases = topology.real_bases(environment)
        topology.write_workspace(folder / "demo.yaml", bases, writable=write)
    if not folder.is_dir():
        _give_up(f"There is no folder {folder}: run this in the repository, or name one with --workspaces")
    return topology.Plan(data.resolve(), folder, upstreams, environment, port_offset)


def _introduce(plan: topology.Plan, show: Show) -> None:
    if not plan.upstreams.emulated:
        show.line("Airtable and Gemini are the real services (AIRTABLE_TOKEN and GEMINI_API_KEY are set).")
        return
    show.line("[yellow]Airtable and Gemini are EMULATORS here: local, with made-up data, and without a model.[/yellow]")
    lonely = [name for name in ("AIRTABLE_TOKEN", "GEMINI_API_KEY") if plan.environment.get(name)]
    if lonely:
        show.line(f"{lonely[0]} is set but not used: the real services need AIRTABLE_TOKEN and GEMINI_API_KEY.")


def _give_up(reason: str) -> NoReturn:
    typer.echo(reason, err=True)
    sys.exit(1)
