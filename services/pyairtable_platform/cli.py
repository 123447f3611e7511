"""The command line: `pyairtable-platform serve NAME`, `migrate`, `mcp-stdio`, `version`; for people `login`, `chat` ...

Services are imported when they are started: the SDKs behind them take seconds to load, and only one needs each.
"""

from __future__ import annotations

import importlib
from enum import StrEnum
from typing import Annotated

import typer

from . import __version__
from .client import commands

app = typer.Typer(
    name="pyairtable-platform",
    help="The PyAirtable services, and commands for the people who use them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
commands.add_to(app)


class ServiceName(StrEnum):
    """The services of the platform; the folder of one is its name with underscores."""

    api_gateway = "api-gateway"
    mcp_server = "mcp-server"
    airtable_gateway = "airtable-gateway"
    llm_orchestrator = "llm-orchestrator"
    auth = "auth"
    users = "users"
    workspaces = "workspaces"
    sagas = "sagas"


@app.command()
def serve(service: Annotated[ServiceName, typer.Argument(help="Which service.")]) -> None:
    """Run one service until it is told to stop (SIGTERM or Ctrl-C). Settings come from the environment."""
    from .common.server import run_service

    main = importlib.import_module(f"pyairtable_platform.{service.name}.main")
    run_service(main.build, main.Settings, service.value)


@app.command()
def migrate(
    to: Annotated[str, typer.Option(help="Revision: head, base or an id.")] = "head",
) -> None:
    """Bring the database schemas of all services to a revision."""
    from .common.errors import PyAirtableError
    from .common.migrations import migrate as run
    from .common.settings import DatabaseSettings

    try:
        run(DatabaseSettings(), to=to)
    except PyAirtableError as error:
        raise SystemExit(f"migrate: {error.message}") from error
    typer.echo(f"database schemas are at {to}")


@app.command()
def mcp_stdio() -> None:
    """Serve the tools as MCP over standard input and output, for desktop clients."""
    from .common.settings import load
    from .mcp_server.main import StdioSettings, run_stdio

    run_stdio(load(StdioSettings))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


if __name__ == "__main__":
    app()
