"""Starting the emulator: as an ASGI app, and as the command `pyairtable-devkit gemini`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from pyairtable_devkit.gemini.app import GeminiApp
from pyairtable_devkit.gemini.script import Script, ScriptError, parse_script
from pyairtable_devkit.gemini.settings import LatencyProfile, Settings
from pyairtable_devkit.gemini.state import State
from pyairtable_devkit.listening import CannotListenError, listen


def create_app(settings: Settings | None = None, script: Script | None = None) -> GeminiApp:
    """The emulator as an ASGI application; needs uvicorn for faults that reset a connection."""
    return GeminiApp(State(settings or Settings(), script or Script()))


def server_config(app: GeminiApp) -> uvicorn.Config:
    """How the emulator is served: quietly, and without waiting long for open streams at the end."""
    return uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_level="critical",  # answers cut on purpose would be logged as errors
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


def command(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8090,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    script: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Scripted answers (YAML).")] = None,
    latency: Annotated[str, typer.Option(help="zero or realistic.")] = "zero",
) -> None:
    """Run the Gemini emulator: the API's wire, with rules in place of a model."""
    profiles: dict[str, LatencyProfile] = {"zero": "zero", "realistic": "realistic"}
    if latency not in profiles:
        raise typer.BadParameter(f"{latency!r} is neither zero nor realistic", param_hint="--latency")
    settings = Settings(latency=profiles[latency])
    app = create_app(settings, _read_script(script))
    try:
        listener = listen(host, port)
    except CannotListenError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    address = f"http://{host}:{listener.getsockname()[1]}"
    typer.echo(
        f"Gemini EMULATOR (rules, not a model) on {address}, key {settings.api_key}, control side {address}/_emulator"
    )
    uvicorn.Server(server_config(app)).run(sockets=[listener])


def _read_script(path: Path | None) -> Script:
    if path is None:
        return Script()
    try:
        return parse_script(path.read_bytes())
    except ScriptError as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--script") from error
