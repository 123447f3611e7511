"""What the commands do that start something and stay: the demo, the stack without it, one database."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import psutil
from rich.console import Console

from pyairtable_devkit import topology
from pyairtable_devkit.databases import Database, DatabaseError
from pyairtable_devkit.demo.run import Demo, addresses, run
from pyairtable_devkit.demo.show import Show
from pyairtable_devkit.demo.sign_in import sign_in
from pyairtable_devkit.ports import PortTakenError
from pyairtable_devkit.stack import StopRequestedError, stop_signals
from pyairtable_devkit.topology import Plan, PlanError


def everything(
    data: Path,
    workspaces: Path,
    port_offset: int,
    environment: Mapping[str, str],
    *,
    with_demo: bool,
    stay: bool,
    write: bool,
) -> int:
    """Start everything, take the demo's steps if asked to, stay up if asked to; return the exit code."""
    began = float(psutil.Process().create_time())
    show = Show(Console())
    try:
        plan = topology.make_plan(data, workspaces, port_offset, environment, write=write)
    except PlanError as error:
        show.failed(str(error))
        return 1
    introduce(plan, show)
    demo = Demo(write=write, seconds=lambda: time.time() - began)
    return run(
        topology.parts(plan),
        show,
        steps=partial(demo if with_demo else sign_in, plan, show),
        stay=partial(addresses, plan, show) if stay else None,
    )


def database(kind: type[Database], data: Path, port: int, host: str) -> int:
    """Run one database until a stop signal, or until it ends; return the exit code."""
    show = Show(Console())
    try:
        with stop_signals(), kind.start(data, port, host) as server:
            show.line(server.url)
            while server.is_running():
                time.sleep(0.5)
            show.failed(f"{server.name} has ended; its log is {server.log_path}")
    except StopRequestedError:
        return 0
    except (DatabaseError, PortTakenError) as error:
        show.failed(str(error))
    return 1


def introduce(plan: Plan, show: Show) -> None:
    """Say whether Airtable and Gemini are real."""
    if not plan.upstreams.emulated:
        show.line("Airtable and Gemini are the real services (AIRTABLE_TOKEN and GEMINI_API_KEY are set).")
        return
    show.line("[yellow]Airtable and Gemini are EMULATORS here: local, with made-up data, and without a model.[/yellow]")
    for name in ("AIRTABLE_TOKEN", "GEMINI_API_KEY"):
        if plan.environment.get(name):
            show.line(f"{name} is set but not used: the real services need both AIRTABLE_TOKEN and GEMINI_API_KEY.")
