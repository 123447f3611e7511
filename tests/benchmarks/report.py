"""Results as tables: on the terminal, and as the page docs/benchmarks/README.md beside the raw results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

HEAD = """# Benchmarks

Made by `make bench`, which writes this page and the raw results beside it; `make bench ARGS="login registry"` measures
some sections anew and leaves the others as they were. Ratios within one run count; absolute times depend on the machine
and on what else it did. Airtable and Gemini are the emulators at zero latency, so every figure is our own overhead and
nothing else.
"""


@dataclass(frozen=True)
class Section:
    """One table of figures with what they mean."""

    title: str
    says: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    measured: str = ""
    """When and on what, for a page whose sections are not all of one run."""


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
        parts += [f"## {section.title}\n", section.says + "\n"]
        parts += [section.measured + "\n"] if section.measured else []
        parts += [markdown(section), ""]
    return "\n".join(parts)


def measured_on(measured: Mapping[str, Any], machine: Mapping[str, Any]) -> str:
    """When a section was measured; on what, if that is not the machine of the page."""
    load = measured.get("load_average")
    parts = [
        f"Measured {measured['when']}",
        f"commit {measured['commit']}",
        f"load average {load:.1f} before it" if load is not None else "load average not noted",
        *([f"on {measured['cpu']}"] if measured["cpu"] != machine["cpu"] else []),
    ]
    return ", ".join(parts) + "."


def markdown(section: Section) -> str:
    lines = ["| " + " | ".join(section.columns) + " |", "|---" + "|---:" * (len(section.columns) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in section.rows]
    return "\n".join(lines)
