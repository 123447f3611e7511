"""What a person sees: tables in a terminal, tab-separated lines without a head where a program reads."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

import typer


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Show rows; `empty` is said (to people only) when there is none."""
    lines = [[safe(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in lines:
            typer.echo("\t".join(" ".join(cell.split()) for cell in line))
    elif not lines:
        typer.echo(empty)
    else:
        _draw(columns, lines)


def note(text: str) -> None:
    """Something beside the answer: on standard error, so that it is in no program's way."""
    typer.echo(safe(text), err=True)


def safe(text: str) -> str:
    """A text without signs that steer terminals: names, records and models' answers may hold any."""
    return "".join(sign for sign in text if sign in "\n\t" or unicodedata.category(sign) != "Cc")


def moment(text: str | None) -> str:
    """A time of the API in the time zone of this machine; empty for none."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M") if text else ""


def _draw(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for line in lines:
        drawn.add_row(*(Text(cell) for cell in line))  # Text: brackets in names are no markup
    Console().print(drawn)
