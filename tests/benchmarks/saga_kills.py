"""`make bench-kills`: sagas killed at every point there is, stored in docs/benchmarks/saga-kills.md.

make bench-kills                                        all points
make bench-kills ARGS="--kinds receivers --no-store"    a look; kinds that are not run keep their stored results
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT / "tests")  # so that this file runs without pytest

from benchmarks import machine, report  # noqa: E402 - needs the path above
from benchmarks.report import Section  # noqa: E402
from integration.sagas.kill.sweep import KINDS, Struck, sweep  # noqa: E402
from integration.sagas.place import Nursery  # noqa: E402

PACKAGES = ("dbos", "grpcio", "sqlalchemy", "asyncpg", "psycopg")
PAGES = ROOT / "docs" / "benchmarks"
RAW = PAGES / "saga-kills.json"

HEAD = """# Sagas killed at every point

Made by `make bench-kills`, which writes this page and the raw results beside it; `make torture` strikes the same points
and fails on any that is wrong, `make test` strikes some thirty. Each saga must end as its row says, with every effect
had once by the receivers' ledger. How it is done: [sagas.md](../sagas.md#how-it-is-tested).
"""

TITLES = {
    "send": ("The service, before each of its sends", "Killed with SIGKILL, and started again."),
    "recovery": (
        "The service while it recovers",
        "Killed when an effect was had and nobody remembered it, and again before each send of the life that follows.",
    ),
    "postgres": ("PostgreSQL", "Killed with SIGKILL at each commit and while a receiver is asked, and started again."),
    "receivers": ("A receiver", "Killed with SIGKILL in each call, before and after it had the effect."),
}
COLUMNS = (
    "saga",
    "points",
    "not reached",
    "completed",
    "compensated",
    "asked again",
    "twice",
    "taken up, resumed",
    "wrong",
)


def main(
    kinds: Annotated[list[str] | None, typer.Option(help="What is killed; not said: all of them.")] = None,
    courts: Annotated[int, typer.Option(help="How many points at a time.", min=1)] = 3,
    store: Annotated[bool, typer.Option(help="Write docs/benchmarks/saga-kills.md.")] = True,
) -> None:
    """Strike; exit 1 when anything is wrong."""
    os.environ["OPEN_ACCESS"] = "true"
    console = Console()
    results: dict[str, Any] = orjson.loads(RAW.read_bytes()) if RAW.exists() else {}
    wrong = 0
    for kind in kinds or KINDS:
        results[kind] = measure(kind, courts, console)
        wrong += sum(bool(point["wrong"]) for point in results[kind]["points"])
        report.show(console, section(kind, results[kind]))
        if store:
            write(results)
    raise typer.Exit(1 if wrong else 0)


def measure(kind: str, courts: int, console: Console) -> dict[str, Any]:
    """Strike all points of a kind."""
    begun, count = time.monotonic(), 0

    def heard(struck: Struck) -> None:
        nonlocal count
        count += 1
        if struck.verdict.wrong:
            console.print(f"{struck.scenario.name}, {struck.point}: {struck.verdict.wrong}", style="red", markup=False)
        if count % 100 == 0:
            console.print(f"{kind}: {count} points in {time.monotonic() - begun:.0f} s", style="dim")

    nursery = Nursery()
    try:
        struck = asyncio.run(sweep(nursery, [kind], courts=courts, heard=heard))
    finally:
        nursery.close()
    seconds = round(time.monotonic() - begun, 1)
    return {
        "machine": machine.describe(PACKAGES),
        "seconds": seconds,
        "courts": courts,
        "points": [raw(item) for item in struck],
    }


def raw(struck: Struck) -> dict[str, Any]:
    ended = struck.verdict.ended
    return {
        "saga": struck.scenario.name,
        "send": struck.point.send,
        "number": struck.point.number,
        "tries": struck.tries,
        "reached": struck.verdict.was_reached,
        "state": ended.state if ended else "",
        "repeated": ended.repeated if ended else 0,
        "claims": ended.claims if ended else 0,
        "wrong": struck.verdict.wrong,
    }


def section(kind: str, result: dict[str, Any]) -> Section:
    """A table: what came of each scenario's points."""
    title, says = TITLES[kind]
    points = result["points"]
    each = result["seconds"] / max(1, len(points))
    run = f"{result['machine']['when']}, commit {result['machine']['commit']}"
    about = (
        f"{says} {len(points)} points, {result['courts']} at a time, in {result['seconds']:.0f} s: {each:.2f} s each "
        f"({run}). Asked again: effects that the receiver knew by their keys; twice: that were had twice all the same."
    )
    names = list(dict.fromkeys(sorted(point["saga"] for point in points)))
    rows = [row(name, [point for point in points if point["saga"] == name]) for name in names]
    return Section(title, about, COLUMNS, [*rows, row("all", points)])


def row(name: str, points: list[dict[str, Any]]) -> tuple[str, ...]:
    states = Counter(point["state"] for point in points)
    wrong = sum(bool(point["wrong"]) for point in points)
    figures = (
        len(points),
        sum(not point["reached"] for point in points),
        states["COMPLETED"],
        states["COMPENSATED"],
        sum(point["repeated"] for point in points),
        sum("effects were" in point["wrong"] for point in points),
        sum(max(0, point["claims"] - 1) for point in points),
        wrong,
    )
    return (name, *map(str, figures))


def write(results: dict[str, Any]) -> None:
    """Store the raw results beside the page that shows them."""
    lines = [
        b'%s: {"machine": %s, "seconds": %s, "courts": %d, "points": [\n%s\n]}'
        % (
            orjson.dumps(kind),
            orjson.dumps(result["machine"]),
            orjson.dumps(result["seconds"]),
            result["courts"],
            b",\n".join(map(orjson.dumps, result["points"])),
        )
        for kind, result in results.items()
    ]
    RAW.write_bytes(b"{" + b",\n".join(lines) + b"}\n")
    latest = max((result["machine"] for result in results.values()), key=lambda found: str(found["when"]))
    shown = [section(kind, results[kind]) for kind in KINDS if kind in results]
    (PAGES / "saga-kills.md").write_text(report.page(latest, RAW.name, shown, head=HEAD))


if __name__ == "__main__":
    typer.run(main)
