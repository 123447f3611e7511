"""Starts the emulator: as an ASGI app, and as the command `pyairtable-devkit airtable`."""

import logging
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from pyairtable_devkit.airtable.app import App
from pyairtable_devkit.airtable.connection import EmulatorProtocol
from pyairtable_devkit.airtable.emulator import Emulator
from pyairtable_devkit.airtable.kept import KeptWorld
from pyairtable_devkit.airtable.seed_tables import SeedError
from pyairtable_devkit.airtable.settings import PACKAGED_SEED, Settings, SettingsError
from pyairtable_devkit.airtable.state import StateError
from pyairtable_devkit.listening import CannotListenError, listen


def create_app(settings: Settings | None = None, kept: Path | None = None) -> App:
    """The emulator as an ASGI application, its data in the file `kept` if one is named.

    Raises SeedError when the seed file is wrong, StateError when the kept one is.
    """
    emulator = Emulator(settings or Settings())
    if kept is None:
        return App(emulator)
    world = KeptWorld(kept)
    world.restore(emulator)
    return App(emulator, world)


def server_config(app: App) -> uvicorn.Config:
    """How uvicorn serves the app: no access log, and connections that faults can cut."""
    return uvicorn.Config(
        app,
        http=EmulatorProtocol,
        ws="none",
        lifespan="on",
        log_level=logging.WARNING,
        access_log=False,
        log_config=None,
        timeout_keep_alive=75,
        server_header=False,
        timeout_graceful_shutdown=2,
    )


def airtable(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8090,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[Path, typer.Option(help="YAML file with bases, tables and rows.")] = PACKAGED_SEED,
    profile: Annotated[str, typer.Option(help="Latency: zero or realistic.")] = "zero",
    limits: Annotated[bool, typer.Option("--limits/--no-limits", help="Airtable's call limits.")] = True,
    keep: Annotated[Path | None, typer.Option(help="File that keeps the data; without one they end with us.")] = None,
    random_seed: Annotated[int, typer.Option(help="Seed of new ids, latency and fault probabilities.")] = 1,
) -> None:
    """Run an emulator of the Airtable Web API."""
    try:
        settings = Settings(seed=seed, random_seed=random_seed).changed({"profile": profile, "limits": limits})
        app = create_app(settings, keep)
    except (SettingsError, SeedError, StateError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    try:
        listener = listen(host, port)
    except CannotListenError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    config = server_config(app)
    address = f"http://{host}:{listener.getsockname()[1]}"
    typer.echo(
        f"Airtable EMULATOR (not Airtable) at {address}, seed {seed.name}, latency {profile}, "
        f"limits {'on' if limits else 'off'}; tokens and controls: {address}/_emulator"
    )
    uvicorn.Server(config).run(sockets=[listener])


command = airtable
