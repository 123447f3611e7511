"""The command `pyairtable-devkit cluster`. Imports what it runs when it runs it."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="A Kubernetes cluster on this machine: kind where a container engine runs, else a control plane of our own.",
)

DataOption = Annotated[Path, typer.Option("--data", help="Folder for keys, data and logs.")]
_DATA = Path(".devkit/cluster")


class Provider(StrEnum):
    """Who runs the control plane."""

    AUTO = "auto"
    KIND = "kind"
    BUILT = "built"


@app.command()
def up(
    bare: Annotated[bool, typer.Option("--bare", help="The control plane only.")] = False,
    node: Annotated[bool, typer.Option("--node", help="A cluster in which pods run, without the platform.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Return when it is ready; `cluster down` stops it.")] = False,
    provider: Annotated[Provider, typer.Option(help="Who runs the control plane.")] = Provider.AUTO,
    data: DataOption = _DATA,
    port_offset: Annotated[int, typer.Option(help="Added to every port, if the usual are taken.")] = 0,
) -> None:
    """Start a cluster, the chart in it, and the platform beside it; stay up until Ctrl-C."""
    from pyairtable_devkit.cluster import launching

    if bare and node:
        raise typer.BadParameter("--bare is a cluster without a node: choose one of --bare and --node")
    wish = launching.Wish(provider.value, port_offset, bare=bare, node=node)
    raise typer.Exit(launching.up(data, wish, dict(os.environ), detach=detach))


@app.command()
def down(data: DataOption = _DATA) -> None:
    """Stop the cluster and remove all of it but the logs."""
    from pyairtable_devkit.cluster import launching

    raise typer.Exit(launching.down(data))


@app.command()
def status(data: DataOption = _DATA) -> None:
    """Tell what runs: exit code 0 if it is ready, 1 if it is starting, 3 if there is none."""
    from pyairtable_devkit.cluster import launching

    raise typer.Exit(launching.status(data, dict(os.environ)))


@app.command()
def restart_node(data: DataOption = _DATA) -> None:
    """Cut the power of the node of `cluster up --node`, and switch it on again: its pods start anew."""
    from pyairtable_devkit.cluster import launching

    raise typer.Exit(launching.restart_node(data))


@app.command()
def kubeconfig(
    merge: Annotated[bool, typer.Option("--merge", help="Add the context to --into, until the cluster stops.")] = False,
    into: Annotated[Path, typer.Option(help="The kubeconfig that --merge changes.")] = Path("~/.kube/config"),
    data: DataOption = _DATA,
) -> None:
    """Print where the kubeconfig is; with --merge add its context to your own."""
    from pyairtable_devkit.cluster import launching

    raise typer.Exit(launching.tell_kubeconfig(data, into.expanduser() if merge else None))


@app.command()
def programs(
    node: Annotated[bool, typer.Option("--node", help="Those of a node as well: containers, DNS.")] = False,
) -> None:
    """Find etcd, Kubernetes and helm, and build what is missing."""
    from pyairtable_devkit.cluster import launching

    raise typer.Exit(launching.programs(dict(os.environ), node=node))
