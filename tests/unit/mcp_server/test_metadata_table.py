"""create_metadata_table: exactly the named table, one row a table, nothing to do the second time."""

from __future__ import annotations

from typing import Any

import pytest
from unit.mcp_server.fake_gateway import FakeGateway, text_field

from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput
from pyairtable_platform.mcp_server.metadata import COLUMNS, guess_purpose
from pyairtable_platform.mcp_server.model import RowError, Table
from pyairtable_platform.mcp_server.service import Caller, ToolService


@pytest.fixture
def base(gateway: FakeGateway) -> FakeGateway:
    invoice = [
        text_field("Number"),
        text_field("Amount", "currency"),
        text_field("Paid", "checkbox"),
        text_field("More"),
    ]
    gateway.add_table("Invoices", invoice)
    gateway.add_table("Old metadata", [text_field("Whatever")], [{"Whatever": "not ours"}])
    return gateway


async def call(tools: ToolService, **arguments: Any) -> dict[str, Any]:
    return await tools.call("create_metadata_table", arguments, Caller())


def described(gateway: FakeGateway, name: str = "Table Metadata") -> list[dict[str, Any]]:
    table = next(table for table in gateway.tables.values() if table.name == name)
    return [record.fields for record in gateway.rows(table)]


async def test_the_table_is_created_with_columns_that_airtable_takes(tools: ToolService, base: FakeGateway) -> None:
    result = await call(tools)
    assert (result["table_created"], result["tables_described"], result["summary"]["created"]) == (True, 2, 2)
    options = {column.name: column.options for column in COLUMNS}
    assert options["Field Count"] == {"precision": 0}
    assert {"name": "Money"} in options["Purpose"]["choices"]
    assert options["Updated At"].keys() == {"timeZone", "dateFormat", "timeFormat"}
    assert COLUMNS[0].type == "singleLineText"


async def test_a_row_says_what_there_is(tools: ToolService, base: FakeGateway) -> None:
    await call(tools)
    row = next(row for row in described(base) if row["Table Name"] == "Invoices")
    updated = row.pop("Updated At")
    assert updated.endswith("Z") and len(updated) == len("2026-11-22T10:00:00.000Z")
    assert row == {
        "Table ID": "tbl00000000000001",
        "Table Name": "Invoices",
        "Field Count": 4,
        "View Count": 0,
        "Field Types": "checkbox: 1\ncurrency: 1\nsingleLineText: 2",
        "Main Fields": "Number, Amount, Paid",
        "Purpose": "Money",
    }


async def test_a_second_run_writes_nothing(tools: ToolService, base: FakeGateway) -> None:
    await call(tools)
    written = len(base.writes)
    result = await call(tools)
    assert len(base.writes) == written and len(base.tables) == 3
    assert (result["table_created"], result["columns_created"], result["unchanged"]) == (False, [], 2)
    assert result["complete"] and len(described(base)) == 2


async def test_another_table_with_metadata_in_its_name_is_left_alone(tools: ToolService, base: FakeGateway) -> None:
    await call(tools, table_name="Catalogue")
    assert described(base, "Old metadata") == [{"Whatever": "not ours"}]
    assert len(described(base, "Catalogue")) == 2
    await call(tools, table_name="catalogue")
    assert len(base.tables) == 3


async def test_missing_columns_are_added_and_own_ones_kept(tools: ToolService, base: FakeGateway) -> None:
    fields = [text_field("Table ID"), text_field("Mine"), text_field("improvements", "richText")]
    rows = [{"Table ID": "tbl00000000000001", "Mine": "hands off", "improvements": "split it"}]
    base.add_table("Table Metadata", fields, rows)
    result = await call(tools)
    assert (result["table_created"], result["summary"]["updated"], result["summary"]["created"]) == (False, 1, 1)
    assert "Purpose" in result["columns_created"] and "Improvements" not in result["columns_created"]
    row = described(base)[0]
    assert (row["Mine"], row["improvements"], row["Table Name"]) == ("hands off", "split it", "Invoices")


async def test_only_changed_tables_are_written_again(tools: ToolService, base: FakeGateway) -> None:
    await call(tools)
    invoices = base.tables["tbl00000000000001"]
    base.tables[invoices.id] = Table(invoices.id, "Bills", invoices.primary_field_id, invoices.fields)
    result = await call(tools)
    assert (result["summary"]["updated"], result["unchanged"]) == (1, 1)
    assert len(base.writes[-1].rows) == 1


async def test_rows_of_lost_tables_and_doubles_are_reported_not_touched(tools: ToolService, base: FakeGateway) -> None:
    await call(tools)
    for table_id in ("tblGone", "tbl00000000000001"):
        arguments = {"table_id": "Table Metadata", "fields": {"Table ID": table_id}}
        await tools.call("create_record", arguments, Caller())
    result = await call(tools)
    assert (len(result["stale"]), len(result["duplicates"]), result["unchanged"]) == (1, 1, 2)
    assert len(described(base)) == 4


async def test_a_column_of_another_type_is_named(tools: ToolService, base: FakeGateway) -> None:
    base.add_table("Table Metadata", [text_field("Table ID", "number")])
    with pytest.raises(FailedPrecondition, match="Table ID is number and should be singleLineText"):
        await call(tools)
    assert not base.writes


@pytest.mark.parametrize("name", ["Invoices", "invoices", "tbl00000000000001"])
async def test_a_business_table_is_never_made_a_metadata_table(
    tools: ToolService, base: FakeGateway, name: str
) -> None:
    before = dict(base.tables)
    with pytest.raises(InvalidInput, match=r"Invoices is not a metadata table.*Table ID.*another name") as caught:
        await call(tools, table_name=name)
    assert [item.field for item in caught.value.violations] == ["table_name"]
    assert base.tables == before and not base.writes


async def test_refused_rows_are_told(tools: ToolService, base: FakeGateway) -> None:
    base.refuse["Invoices"] = RowError("INVALID_INPUT", "no invoices")
    result = await call(tools)
    assert not result["complete"] and result["errors"][0]["message"] == "no invoices"
    assert result["summary"]["created"] == 1
    base.refuse["Old metadata"] = RowError("INVALID_INPUT", "nor this")
    base.tables.popitem()
    with pytest.raises(InvalidInput):
        await call(tools, table_name="Elsewhere")


@pytest.mark.parametrize(
    ("name", "fields", "purpose"),
    [
        ("Contacts", ["A"], "People and contacts"),
        ("Site photos", ["A"], "Documents and files"),
        ("XYZ", ["Invoice number", "Payment"], "Money"),
        ("XYZ", ["A", "B"], "Other"),
    ],
)
def test_a_purpose_is_guessed_from_names(name: str, fields: list[str], purpose: str) -> None:
    assert guess_purpose(Table("tbl1", name, "f", tuple(text_field(item) for item in fields))) == purpose
