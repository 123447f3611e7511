"""The command `pyairtable-devkit images`. Imports what it runs when it runs it."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The container images, as archives for kind, containerd and registries.")

FolderOption = Annotated[Path, typer.Option("--folder", help="Where the archives are.")]
_FOLDER = Path(".devkit/images")


class Name(StrEnum):
    """The images."""

    SERVICES = "services"
    OPERATOR = "operator"
    DEVKIT = "devkit"


class EngineName(StrEnum):
    """Who builds them."""

    AUTO = "auto"
    DOCKER = "docker"
    PODMAN = "podman"
    BUILDAH = "buildah"


@app.command()
def build(
    names: Annotated[list[Name] | None, typer.Argument(help="Which; all without a name.")] = None,
    engine: Annotated[EngineName, typer.Option(help="Who builds.")] = EngineName.AUTO,
    base: Annotated[str, typer.Option(help="Base image, with Python 3.11 or newer; empty: the Dockerfiles'.")] = "",
    renew_base: Annotated[bool, typer.Option("--renew-base", help="Fetch or make the base image anew.")] = False,
    cached: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep what has not changed.")] = True,
    folder: FolderOption = _FOLDER,
) -> None:
    """Build the images whose sources have changed, one archive each."""
    from pyairtable_devkit.images import building

    wanted = tuple(name.value for name in names or list(Name))
    choice = building.Choice(wanted, engine.value, base, renew_base=renew_base, cached=cached)
    raise typer.Exit(building.build(folder.resolve(), choice, dict(os.environ)))


@app.command("list")
def list_images(folder: FolderOption = _FOLDER) -> None:
    """Print reference, digest and size of what is built."""
    from pyairtable_devkit.images import building

    raise typer.Exit(building.list_images(folder.resolve()))
