"""Starting the mailbox: as the command `pyairtable-devkit mailbox`."""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn
from starlette.applications import Starlette

from pyairtable_devkit.listening import CannotListenError, listen
from pyairtable_devkit.mailbox.app import create_app
from pyairtable_devkit.mailbox.state import Settings, State


def server_config(app: Starlette) -> uvicorn.Config:
    """How the HTTP side is served; its life is the SMTP side's too."""
    return uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        log_level="warning",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


def command(
    port: Annotated[int, typer.Option(help="Port of the HTTP side; 0 takes a free one.")] = 8092,
    smtp_port: Annotated[int, typer.Option(help="Port of the SMTP side; 0 takes a free one.")] = 8093,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Run the mailbox: it takes letters over SMTP, shows them over HTTP, and sends none on."""
    try:
        http, smtp = listen(host, port), listen(host, smtp_port)
    except CannotListenError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    app = create_app(State(Settings()), smtp)
    address = f"http://{host}:{http.getsockname()[1]}"
    typer.echo(
        f"MAILBOX (an emulator: no letter leaves it) at {address}, SMTP at {host}:{smtp.getsockname()[1]}, "
        f"control side {address}/_emulator"
    )
    uvicorn.Server(server_config(app)).run(sockets=[http])
