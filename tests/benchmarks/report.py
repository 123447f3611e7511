"""Results as tables: on the terminal, and as the page docs/benchmarks/README.md beside the raw results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

HEAD = """# Benchmarks

Made by `make bench`, which writes this page and the raw results beside it. Ratios within one run count; absolute times
depend on the machine and on what else it did. Airtable and Gemini are the emulators at zero latency, so every figure is
our own overhead and nothing else.
"""


@dataclass(frozen=True)
class Section:
    """One table of figures with what they mean."""

    title: str
    says: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def timing_section(title: str, says: str, results: Mapping[str, Any]) -> Section:
    """A table of ways to do the same thing; the first way is the referee of the ratios."""
    referee = next(iter(results.values()))["median_ms"]
    rows = [
        (name, f"{way['median_ms']:.1f}", f"{way['p95_ms']:.1f}", f"{way['median_ms'] / referee:.2f}")
        for name, way in results.items()
    ]
    return Section(title, says, ("way", "median ms", "p95 ms", "ratio"), rows)


def memory_section(results: Mapping[str, float]) -> Section:
    rows = [(name, f"{mib:.0f}") for name, mib in results.items()]
    rows.append(("sum", f"{sum(results.values()):.0f}"))
    says = "Proportional memory of each process of the demo after the measurements above, in MiB."
    return Section("Memory", says, ("process", "MiB"), rows)


def show(console: Console, section: Section) -> None:
    """Print a section."""
    table = Table(title=section.title, title_justify="left", caption=section.says, caption_justify="left")
    for number, column in enumerate(section.columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in section.rows:
        table.add_row(*row)
    console.print(table)


def page(machine: Mapping[str, Any], raw_file: str, sections: Sequence[Section], *, head: str = HEAD) -> str:
    """The Markdown page."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    parts = [
        head,
        f"{machine['when']}, commit {machine['commit']}, {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}, {packages}. "
        f"Raw results: [{raw_file}]({raw_file}).\n",
    ]
    for section in sections:
        parts += [f"## {section.title}\n", section.says + "\n", markdown(section), ""]
    return "\n".join(parts)


def markdown(section: Section) -> str:
    lines = ["| " + " | ".join(section.columns) + " |", "|---" + "|---:" * (len(section.columns) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in section.rows]
    return "\n".join(lines)
