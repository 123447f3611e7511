"""export_table_csv: columns from the schema, RFC 4180, bounds that are told."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.mcp_server.fake_gateway import FakeGateway, text_field

from pyairtable_platform.common.errors import NotFound
from pyairtable_platform.mcp_server.csv_text import FORMULA_STARTS, CsvWriter, escape_formula
from pyairtable_platform.mcp_server.model import Record
from pyairtable_platform.mcp_server.service import Caller, ToolService
from pyairtable_platform.mcp_server.tools import export

CELLS = st.text(st.characters(codec="utf-8"), max_size=20)


def record(cells: dict[str, Any]) -> Record:
    return Record("rec1", "2026-01-01T00:00:00.000Z", cells)


@settings(max_examples=200, deadline=None)
@given(names=st.lists(CELLS, min_size=1, max_size=4, unique=True), data=st.data())
def test_any_table_survives_the_csv_module(names: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names)), max_size=5))
    fields = [text_field(name) for name in names]
    writer = CsvWriter(fields, escape_formulas=False)
    written = writer.header() + writer.rows(record(dict(zip(names, row, strict=True))) for row in rows)
    assert list(csv.reader(io.StringIO(written, newline=""), strict=True)) == [names, *rows]


@settings(max_examples=200, deadline=None)
@given(cell=st.one_of(CELLS, st.builds(str.__add__, st.sampled_from(FORMULA_STARTS), CELLS)))
def test_escaping_is_reversible_and_leaves_no_formula(cell: str) -> None:
    escaped = escape_formula(cell)
    assert escaped in (cell, f"'{cell}")
    if escaped.startswith(FORMULA_STARTS):
        assert set(escaped[1:]) <= set("0123456789.,%")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("@cmd", "'@cmd"),
        ("\tx", "'\tx"),
        ("+49 170", "'+49 170"),
        ("-5", "-5"),
        ("-5.25", "-5.25"),
        ("+12%", "+12%"),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
        ("plain = text", "plain = text"),
        ("", ""),
    ],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(cell: str, expected: str) -> None:
    assert escape_formula(cell) == expected


def test_cells_of_every_shape_read_as_text() -> None:
    fields = [text_field(name) for name in "abcdefg"]
    cells = {
        "a": 5.0,
        "b": True,
        "c": ["x", "y, z"],
        "d": [{"id": "att1", "filename": "plan.pdf", "url": "https://example.com/x"}],
        "e": {"id": "usr1", "email": "ada@example.com", "name": "Ada"},
        "f": {"state": "generated", "isStale": False, "value": "summary"},
        "g": None,
    }
    line = CsvWriter(fields, escape_formulas=True).rows([record(cells)])
    assert line == '5,true,"x, y, z",plan.pdf,Ada,summary,\r\n'


@pytest.fixture
def notes(gateway: FakeGateway) -> FakeGateway:
    rows = [{"Name": f"N{number}"} for number in range(7)]
    gateway.add_table("Notes", [text_field("Name"), text_field("Always empty"), text_field("Text")], rows)
    return gateway


async def call(tools: ToolService, **arguments: Any) -> dict[str, Any]:
    return await tools.call("export_table_csv", {"table_id": "Notes", **arguments}, Caller())


async def test_columns_come_from_the_schema_even_when_empty(tools: ToolService, notes: FakeGateway) -> None:
    result = await call(tools)
    assert result["columns"] == ["Name", "Always empty", "Text"]
    assert result["csv"].startswith("Name,Always empty,Text\r\nN0,,\r\n")
    assert (result["row_count"], result["truncated"], result["has_more"], result["note"]) == (7, False, False, "")
    assert result["preview"].count("\r\n") == 6


async def test_columns_are_chosen_and_ordered(tools: ToolService, notes: FakeGateway) -> None:
    result = await call(tools, fields=["Text", "name"], view="Grid", filter_by_formula="{Name}='N3'", values="raw")
    assert result["csv"] == "Text,Name\r\n,N3\r\n"
    assert notes.queries[-1].view == "Grid" and not notes.queries[-1].as_text
    with pytest.raises(NotFound, match="no field"):
        await call(tools, fields=["Absent"])


async def test_more_rows_than_asked_for_are_told(tools: ToolService, notes: FakeGateway) -> None:
    result = await call(tools, max_records=5)
    assert (result["row_count"], result["truncated"], result["has_more"]) == (5, False, True)
    assert "max_records" in result["note"]
    exact = await call(tools, max_records=7)
    assert (exact["row_count"], exact["has_more"]) == (7, False)


async def test_text_is_bounded_by_whole_rows(
    tools: ToolService, notes: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_TEXT", 20)
    result = await call(tools)
    assert result["truncated"] and result["has_more"] and "export.csv" in result["note"]
    assert result["csv"].endswith("\r\n") and len(result["csv"]) <= 20 + len("Name,Always empty,Text\r\n")


async def test_the_stream_is_whole_and_checks_names_first(tools: ToolService, notes: FakeGateway) -> None:
    pieces = [piece async for piece in tools.export_csv({"table_id": "Notes"}, Caller())]
    assert pieces[0] == "Name,Always empty,Text\r\n"
    assert "".join(pieces).count("\r\n") == 8
    with pytest.raises(NotFound):
        await anext(tools.export_csv({"table_id": "Absent"}, Caller()))
