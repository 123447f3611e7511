"""`make bench`: measure, print tables, store raw results and the page in docs/benchmarks/.

make bench                               everything, about seven minutes
make bench ARGS="--seconds 10"           shorter floods
make bench ARGS="login registry"         these sections; the page keeps the figures of the others
make bench ARGS=accounts                 login, authorize, identity, sagas and registry, about three minutes
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # so that this file runs without pytest

from benchmarks import (  # noqa: E402 - needs the path above
    accounts,
    accounts_report,
    chat,
    doors,
    flood,
    general_report,
    identity,
    machine,
    registry,
    report,
    sagas,
    stored,
)
from benchmarks.cpu import load_average  # noqa: E402
from benchmarks.report import Section  # noqa: E402
from benchmarks.system import UNPACED, System, running_system  # noqa: E402

PAGES = ROOT / "docs" / "benchmarks"
ACCOUNTS = ("login", "authorize", "identity", "sagas", "registry")


@dataclass(frozen=True)
class Options:
    """How long and how often."""

    seconds: float
    rounds: int
    press: float


@dataclass(frozen=True)
class Measurement:
    """A section of the command line: how it is measured and what is shown of it."""

    measure: Callable[[System, Options], Any]
    sections: Callable[[Any], list[Section]]


def alone(section: Callable[[Any], Section]) -> Callable[[Any], list[Section]]:
    return lambda figures: [section(figures)]


SECTIONS = {
    "read": Measurement(
        lambda system, how: asyncio.run(doors.gateway_read(system, how.rounds)), alone(general_report.read_section)
    ),
    "tool": Measurement(
        lambda system, how: asyncio.run(doors.tool_call(system, how.rounds)), alone(general_report.tool_section)
    ),
    "chat": Measurement(
        lambda system, how: asyncio.run(chat.chat_turns(system, how.rounds // 3)), alone(general_report.chat_section)
    ),
    "memory_mib": Measurement(lambda system, how: doors.memory(system), alone(general_report.memory_section)),
    "login": Measurement(
        lambda system, how: asyncio.run(accounts.logins(system, how.press)), alone(accounts_report.login_section)
    ),
    "authorize": Measurement(
        lambda system, how: asyncio.run(accounts.authorizing(system)), alone(accounts_report.authorize_section)
    ),
    "identity": Measurement(
        lambda system, how: asyncio.run(identity.identity_cost(system, 3 * how.rounds)),
        accounts_report.identity_sections,
    ),
    "sagas": Measurement(
        lambda system, how: asyncio.run(sagas.saga_rate(system, how.press)), alone(accounts_report.sagas_section)
    ),
    "registry": Measurement(
        lambda system, how: asyncio.run(registry.registry_cost(system, how.rounds // 2)),
        accounts_report.registry_sections,
    ),
}
"""All that need a running system, in the order in which they are measured: the last leave most behind."""


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"flood, {', '.join(SECTIONS)}, accounts.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of each flood.")] = 20.0,
    rounds: Annotated[int, typer.Option(help="Samples of each timed call.")] = 60,
    press: Annotated[float, typer.Option(help="Length of each run of logins and sagas.")] = 3.0,
    store: Annotated[bool, typer.Option(help="Write docs/benchmarks.")] = True,
) -> None:
    """Measure everything, or the sections that are named; exit 1 when the limit of Airtable was not kept."""
    wanted, how = chosen(names or ["flood", *SECTIONS]), Options(seconds, rounds, press)
    console, measured = Console(), {}
    with ExitStack() as stack:
        system: System | None = None
        for name in wanted:
            told = {**machine.describe(), "load_average": load_average()}
            if name == "flood":
                figures: Any = [asyncio.run(flood.flood(number, seconds=how.seconds)) for number in (1, 2, 4)]
            else:
                system = system or stack.enter_context(running_system(UNPACED))
                figures = SECTIONS[name].measure(system, how)
            measured[name] = {"measured": told, "figures": figures}
            for section in shown(name, figures):
                report.show(console, section)
            if store:  # each at once: a run that is broken off keeps what it has
                write(measured)
    floods = measured.get("flood", {}).get("figures", [])
    broken = [one for one in floods if one["peak_in_a_second"] > general_report.LIMIT or one["refused_429"]]
    raise typer.Exit(1 if broken else 0)


def chosen(names: Iterable[str]) -> list[str]:
    """The sections to measure, in their order."""
    asked = {section for name in names for section in (ACCOUNTS if name == "accounts" else (name,))}
    known = ["flood", *SECTIONS]
    if unknown := asked - set(known):
        raise typer.BadParameter(f"there is no section {', '.join(sorted(unknown))}: take {', '.join(known)}, accounts")
    return [name for name in known if name in asked]


def shown(name: str, figures: Any) -> list[Section]:
    """The tables of a section."""
    return [general_report.flood_section(figures)] if name == "flood" else SECTIONS[name].sections(figures)


def write(measured: dict[str, Any]) -> None:
    """Store the raw results, with those of sections that were not measured, beside the page that shows them all."""
    results = stored.merged(stored.newest(PAGES), measured)
    here = next(iter(measured.values()))["measured"]
    (PAGES / "README.md").write_text(report.page(here, stored.write(PAGES, results), sections_of(results, here)))


def sections_of(results: stored.Results, here: dict[str, Any]) -> list[Section]:
    """All tables of a page, each with when it was measured."""
    found = []
    for name in ("flood", *SECTIONS):
        if kept := results["sections"].get(name):
            when = report.measured_on(kept["measured"], here)
            found += [replace(section, measured=when) for section in shown(name, kept["figures"])]
    return found


if __name__ == "__main__":
    typer.run(main)
