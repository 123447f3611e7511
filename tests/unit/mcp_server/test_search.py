"""search_records: any text in any field, and a formula that no text can break."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.mcp_server.fake_gateway import FakeGateway, holds, text_field

from pyairtable_platform.common.errors import InvalidInput, NotFound, Reason
from pyairtable_platform.mcp_server.formulas import contains_any, is_one_of
from pyairtable_platform.mcp_server.model import Record, Table
from pyairtable_platform.mcp_server.service import Caller, ToolService

FIELDS = (
    text_field("Name"),
    text_field("Hours", "number"),
    text_field("Status", "singleSelect"),
    text_field("Tags", "multipleSelects"),
    text_field("Client", "multipleRecordLinks"),
    text_field("Due", "date"),
    text_field("Done", "checkbox"),
    text_field("Ratio", "formula", result={"type": "number"}),
)
ROWS: list[dict[str, Any]] = [
    {"Name": "Löwe & Söhne", "Hours": 12.5, "Status": "In progress", "Tags": ["urgent", "roof"], "Due": "2026-11-22"},
    {"Name": 'O\'Brien said "no"', "Hours": 7, "Client": ["Ada's House"], "Done": True},
    {"Name": "C:\\temp\\new", "Status": "Done", "Ratio": 0.75},
    {"Name": "first line\nsecond line\tend"},
]


@pytest.fixture
def projects(gateway: FakeGateway) -> FakeGateway:
    gateway.add_table("Projects", FIELDS, ROWS)
    return gateway


async def found(tools: ToolService, query: str, **more: Any) -> list[str]:
    result = await tools.call("search_records", {"table_id": "Projects", "query": query, **more}, Caller())
    return [record["fields"]["Name"][:2] for record in result["records"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("löwe", ["Lö"]),
        ("LÖWE & SÖHNE", ["Lö"]),
        ("o'brien", ["O'"]),
        ('"NO"', ["O'"]),
        ("\\TEMP\\", ["C:"]),
        ("line\nsecond", ["fi"]),
        ("line\tend", ["fi"]),
        ("12.5", ["Lö"]),
        ("7", ["O'", "C:"]),
        ("progress", ["Lö"]),
        ("ROOF", ["Lö"]),
        ("ada's", ["O'"]),
        ("2026-11-22", ["Lö"]),
        ("update", []),
        ("') , TRUE(), ('", []),
        ("')=''", []),
        ("{Name}", []),
    ],
)
async def test_text_is_found_in_fields_of_any_type(
    tools: ToolService, projects: FakeGateway, query: str, expected: list[str]
) -> None:
    assert await found(tools, query) == expected


async def test_only_the_named_fields_are_searched(tools: ToolService, projects: FakeGateway) -> None:
    assert await found(tools, "done", fields=["status"]) == ["C:"]
    assert await found(tools, "done", fields=["Name", "Hours"]) == []
    with pytest.raises(NotFound, match="did you mean Status") as caught:
        await found(tools, "done", fields=["Statos"])
    assert caught.value.reason is Reason.FIELD_NOT_FOUND
    assert caught.value.violations[0].field == "fields[0]"


async def test_the_answer_says_what_was_searched_and_whether_there_is_more(
    tools: ToolService, projects: FakeGateway
) -> None:
    arguments = {"table_id": "Projects", "query": "e", "max_records": 1}
    result = await tools.call("search_records", arguments, Caller())
    assert result["searched_fields"] == ["Name", "Hours", "Status", "Tags", "Client", "Due", "Ratio"]
    assert (result["count"], result["has_more"]) == (1, True)
    following = await tools.call("search_records", {**arguments, "page_token": result["next_page_token"]}, Caller())
    assert following["records"][0]["id"] != result["records"][0]["id"]


async def test_an_error_in_a_computed_cell_hides_no_record(tools: ToolService, projects: FakeGateway) -> None:
    table = projects.tables["tbl00000000000001"]
    broken = Record("rec1", "2026-01-01T00:00:00.000Z", {"Name": "needle"})
    formula = contains_any("needle", [table.fields[7], table.fields[0]])
    assert "ISERROR" in formula
    assert holds(formula, table, broken)


@pytest.mark.parametrize("query", ["", "   ", "\n", "x" * 1001])
async def test_a_query_must_say_something(tools: ToolService, projects: FakeGateway, query: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await found(tools, query)
    assert caught.value.violations[0].field == "query"


async def test_too_long_a_formula_names_the_way_out(tools: ToolService, gateway: FakeGateway) -> None:
    gateway.add_table("Wide", [text_field(f"F{number}") for number in range(100)])
    with pytest.raises(InvalidInput, match="name fewer fields"):
        await tools.call("search_records", {"table_id": "Wide", "query": "x" * 1000}, Caller())


TABLE = Table("tbl1", "T", "fld1", (text_field("Text"), text_field("Other")))
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@settings(max_examples=150, deadline=None)
@given(before=TEXTS, needle=TEXTS, after=TEXTS, other=TEXTS)
def test_a_cell_is_found_by_any_part_of_it_and_by_nothing_else(
    before: str, needle: str, after: str, other: str
) -> None:
    cell = before + needle + after
    record = Record("rec1", "2026-01-01T00:00:00.000Z", {"Text": cell})
    assert holds(contains_any(needle, TABLE.fields), TABLE, record)
    assert holds(contains_any(other, TABLE.fields), TABLE, record) == (other.lower() in cell.lower())


def test_line_breaks_and_tabs_are_written_as_escapes() -> None:
    formula = contains_any("a\nb\tc\rd", TABLE.fields)
    assert not set("\n\t\r") & set(formula)
    assert "'a\\nb\\tc\\rd'" in formula


def test_record_ids_are_quoted_too() -> None:
    record = Record("rec1", "2026-01-01T00:00:00.000Z", {})
    assert holds(is_one_of(["rec0", "rec1"]), TABLE, record)
    assert not holds(is_one_of(["rec0') , TRUE(), ('"]), TABLE, record)
