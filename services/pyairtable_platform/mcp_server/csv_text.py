"""Records as CSV (RFC 4180): columns from the schema, one line ending, quotes where they are needed. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .cells import text
from .model import Field, Record

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula (OWASP: CSV injection)."""

_PLAIN_NUMBER = re.compile(r"[+-][\d.,]+%?")


class CsvWriter:
    """Turns records into lines of text. `escape_formulas` puts an apostrophe before what a spreadsheet would run."""

    def __init__(self, fields: Sequence[Field], *, escape_formulas: bool) -> None:
        self._fields = fields
        self._escape = escape_formulas

    def header(self) -> str:
        return self._lines([[field.name for field in self._fields]])

    def rows(self, records: Iterable[Record]) -> str:
        return self._lines([[record.fields.get(field.name) for field in self._fields] for record in records])

    def _lines(self, rows: Iterable[Sequence[Any]]) -> str:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\r\n")
        writer.writerows([self._cell(value) for value in row] for row in rows)
        return buffer.getvalue()

    def _cell(self, value: Any) -> str:
        written = text(value)
        return escape_formula(written) if self._escape else written


def escape_formula(written: str) -> str:
    """The text with an apostrophe before it when a spreadsheet would run it; plain numbers such as -5 stay."""
    if not written.startswith(FORMULA_STARTS) or _PLAIN_NUMBER.fullmatch(written):
        return written
    return f"'{written}"
