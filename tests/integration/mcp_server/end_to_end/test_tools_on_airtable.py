"""Every tool against the Airtable emulator through the real gateway."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx2
import pytest
from integration.mcp_server.end_to_end.conftest import System
from mcp import Client

from pyairtable_devkit.airtable.testing import BASE
from pyairtable_platform.common.errors import Denied, InvalidInput, NotFound, Reason

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


async def names(system: System, query: str, table: str = "Projects", **more: Any) -> list[str]:
    result = await system.tool("search_records", table_id=table, query=query, **more)
    primary = {"Projects": "Name", "Tasks": "Task"}[table]
    return sorted(record["fields"][primary] for record in result["records"])


async def test_the_first_complaint_is_gone_no_base_id_is_needed(system: System) -> None:
    tables = await system.tool("list_tables")
    assert tables["base_id"] == BASE
    assert {"Projects", "Tasks", "Working Hours"} <= {table["name"] for table in tables["tables"]}
    bases = (await system.tool("list_bases"))["bases"]
    assert {base["binding"]: base["is_default"] for base in bases} == {"crm": True, "showroom": False}
    assert (await system.tool("list_tables", base_id="showroom"))["base_id"] != BASE


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("O'BRIEN", "O'Brien loft"),
        ('"old mill"', 'The "Old Mill" conversion'),
        ("FAÇADE", "Café Zoë façade"),
        ("groß", "Groß Design office"),
        ("ground screws", "Ridgway garden room"),
        ("245000", 'The "Old Mill" conversion'),
        ("2026-08-17", "O'Brien loft"),
        ("on hold", "Rose Cottage damp"),
        ("flooring", "Ashdown School gym"),
        ("carmen", "Casa Peña roof"),
    ],
)
async def test_search_reaches_every_kind_of_field(system: System, query: str, expected: str) -> None:
    assert expected in await names(system, query)


@pytest.mark.parametrize("text", ["back\\slash", "two\nlines", "tab\there", 'it\'s "both"', "}{", "'; DROP", "\\'"])
async def test_any_text_that_was_written_is_found(system: System, text: str) -> None:
    created = await system.tool("create_record", table_id="Tasks", fields={"Task": f"before {text} after"})
    result = await system.tool("search_records", table_id="Tasks", query=text)
    assert [record["id"] for record in result["records"]] == [created["record"]["id"]]


async def test_thirty_seven_rows_in_one_call_and_back(system: System) -> None:
    rows = [{"Task": f"Row {number:02d}"} for number in range(37)]
    created = await system.tool("batch_create_records", table_id="Tasks", records=rows)
    assert created["complete"] and created["summary"]["created"] == 37
    updates = [{"id": record["id"], "fields": {"Status": "Doing"}} for record in created["records"]]
    updated = await system.tool("batch_update_records", table_id="Tasks", records=updates)
    assert updated["complete"] and updated["summary"]["updated"] == 37
    found = await system.tool("get_records", table_id="Tasks", filter_by_formula="{Status}='Doing'", max_records=1000)
    assert {record["id"] for record in created["records"]} <= {record["id"] for record in found["records"]}


async def test_one_bad_row_is_named_and_the_others_are_written(system: System) -> None:
    rows: list[dict[str, Any]] = [{"Task": f"Row {number}"} for number in range(12)]
    rows[5]["Status"] = "No such choice"
    result = await system.tool("batch_create_records", table_id="Tasks", records=rows)
    assert (result["summary"]["created"], result["summary"]["failed"]) == (11, 1)
    assert [row["index"] for row in result["rows"] if row["state"] == "failed"] == [5]
    assert result["rows"][5]["message"]


async def test_upsert_by_key_field(system: System) -> None:
    rows = [{"fields": {"Name": "O'Brien loft", "Notes": "again"}}, {"fields": {"Name": "Brand new"}}]
    result = await system.tool("batch_update_records", table_id="Projects", records=rows, key_fields=["Name"])
    assert (result["summary"]["updated"], result["summary"]["created"]) == (1, 1)


async def test_the_same_key_writes_once(system: System) -> None:
    arguments = {"table_id": "Tasks", "fields": {"Task": "only once"}}
    first = await system.tool("create_record", "demo-key-1", **arguments)
    second = await system.tool("create_record", "demo-key-1", **arguments)
    assert first == second
    assert await names(system, "only once", "Tasks") == ["only once"]


async def test_fields_tell_choices_formulas_and_links(system: System) -> None:
    fields = {field["name"]: field for field in (await system.tool("get_field_info", table_id="projects"))["fields"]}
    assert fields["Name"]["is_primary"]
    assert [choice["name"] for choice in fields["Status"]["choices"]] == ["Planned", "In progress", "On hold", "Done"]
    assert fields["Budget Left"]["formula"] == "{Budget} - {Labour Cost} - {Total Expenses}"
    assert fields["Client"]["linked_table"] == "Contacts"


async def test_analysis_covers_fields_of_every_type(system: System) -> None:
    result = await system.tool("analyze_table_data", table_id="Projects")
    fields = {field["name"]: field for field in result["fields"]}
    assert result["complete"] and result["records_analyzed"] == 16
    assert fields["Total Hours"]["numbers"]["sum"] == 592
    assert fields["Tags"]["items"]["most"] == 3
    assert fields["Start"]["dates"]["earliest"] == "2026-01-12"
    assert {insight["field"] for insight in result["insights"] if insight["kind"] == "always_different"} >= {"Name"}


async def test_duplicates_in_links_lists_and_attachments(system: System) -> None:
    original = (await system.tool("get_records", table_id="Projects", max_records=1))["records"][0]
    cells = original["fields"]
    plans = [{"url": plan["url"], "filename": plan["filename"]} for plan in cells["Plans"]]
    twin = {"Name": "Twin", "Client": cells["Client"], "Tags": cells["Tags"][::-1], "Plans": plans}
    created = (await system.tool("create_record", table_id="Projects", fields=twin))["record"]
    result = await system.tool("find_duplicates", table_id="Projects", fields=["Client", "Tags", "Plans"])
    assert result["records_scanned"] == 17
    assert [set(group["record_ids"]) for group in result["groups"]] == [{original["id"], created["id"]}]
    assert result["groups"][0]["proposal"]["keep"] == original["id"]


async def test_csv_has_every_column_and_reads_back(system: System) -> None:
    result = await system.tool("export_table_csv", table_id="Projects", escape_formulas=False)
    rows = list(csv.DictReader(io.StringIO(result["csv"], newline="")))
    schema = await system.tool("get_field_info", table_id="Projects")
    assert result["columns"] == list(rows[0]) == [field["name"] for field in schema["fields"]]
    assert len(rows) == 16
    loft = next(row for row in rows if row["Name"] == "O'Brien loft")
    assert (loft["Client"], loft["Tags"], loft["Permit Needed"]) == ("Siobhan O'Brien", "Loft, Roof", "checked")
    raw = await system.tool("export_table_csv", table_id="Projects", values="raw", fields=["Name", "Budget"])
    assert "O'Brien loft,94000\r\n" in raw["csv"]


async def test_csv_streams_over_rest(system: System) -> None:
    answer = await system.http.get(
        "/bases/default/tables/Projects/export.csv", params={"fields": ["Name", "Total Hours"], "raw_values": "true"}
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert rows[0] == ["Name", "Total Hours"] and len(rows) == 17
    assert ["O'Brien loft", "65"] in rows
    missing = await system.http.get("/bases/default/tables/Absent/export.csv")
    assert (missing.status_code, missing.json()["reason"]) == (404, "TABLE_NOT_FOUND")


async def test_sync_previews_applies_and_then_rests(system: System) -> None:
    arguments = {"source_table_id": "Projects", "target_table_id": "Mirror", "key_field": "Name"}
    await make_mirror(system)
    preview = await system.tool("sync_tables", **arguments)
    assert (preview["dry_run"], preview["to_create"], preview["to_delete"]) == (True, 16, 1)
    applied = await system.tool("sync_tables", **arguments, dry_run=False, allow_delete=True)
    assert applied["complete"], applied["errors"]
    assert (applied["applied"]["created"], applied["applied"]["deleted"]) == (16, 1)
    again = await system.tool("sync_tables", **arguments, dry_run=False, allow_delete=True)
    assert (again["to_create"], again["to_update"], again["to_delete"], again["unchanged"]) == (0, 0, 0, 16)


async def make_mirror(system: System) -> None:
    """A table with some of the fields of Projects and one row that Projects does not have."""
    select = {"choices": [{"name": name} for name in ("Planned", "In progress", "On hold", "Done")]}
    fields = [
        {"name": "Name", "type": "singleLineText"},
        {"name": "Status", "type": "singleSelect", "options": select},
        {"name": "Budget", "type": "number", "options": {"precision": 2}},
        {"name": "Start", "type": "date", "options": {"dateFormat": {"name": "iso"}}},
        {"name": "Permit Needed", "type": "checkbox", "options": {"icon": "check", "color": "greenBright"}},
        {"name": "Notes", "type": "richText"},
        {"name": "Total Hours", "type": "number", "options": {"precision": 1}},
    ]
    create_table(system, {"name": "Mirror", "fields": fields})
    await system.tool("create_record", table_id="Mirror", fields={"Name": "Left over"})


def create_table(system: System, table: dict[str, Any]) -> None:
    url = f"{system.emulator.url}/v0/meta/bases/{BASE}/tables"
    httpx2.post(url, json=table, headers=system.emulator.auth(), trust_env=False).raise_for_status()


async def test_a_metadata_table_is_made_once_and_kept_current(system: System) -> None:
    count = (await system.tool("list_tables"))["count"]
    first = await system.tool("create_metadata_table")
    assert first["complete"] and first["table_created"], first["errors"]
    assert first["summary"]["created"] == count
    second = await system.tool("create_metadata_table")
    assert (second["table_created"], second["columns_created"], second["unchanged"]) == (False, [], count)
    rows = (await system.tool("get_records", table_id="Table Metadata"))["records"]
    assert len(rows) == count
    hours = next(row["fields"] for row in rows if row["fields"]["Table Name"] == "Working Hours")
    assert hours["Purpose"] == "Time" and hours["Field Count"] > 3


@pytest.mark.parametrize(
    ("tool", "arguments", "error", "reason"),
    [
        ("list_tables", {"base_id": "appNotThere000000"}, NotFound, Reason.BASE_NOT_FOUND),
        ("get_records", {"table_id": "Nope"}, NotFound, Reason.TABLE_NOT_FOUND),
        ("get_record", {"table_id": "Tasks", "record_id": "recNotThere000000"}, NotFound, Reason.RECORD_NOT_FOUND),
        ("get_records", {"table_id": "Tasks", "filter_by_formula": "{"}, InvalidInput, Reason.INVALID_FORMULA),
        ("create_record", {"table_id": "Tasks", "fields": {"Nope": 1}}, Exception, None),
        ("create_record", {"table_id": "Tasks", "fields": {"Due": "soon"}}, InvalidInput, Reason.INVALID_INPUT),
        (
            "create_record",
            {"base_id": "showroom", "table_id": "Visitors", "fields": {"Name": "x"}},
            Denied,
            Reason.BASE_READ_ONLY,
        ),
        ("delete_record", {"table_id": "Tasks", "record_id": "recNotThere000000"}, NotFound, Reason.RECORD_NOT_FOUND),
    ],
)
async def test_errors_are_typed_and_name_the_thing(
    system: System, tool: str, arguments: dict[str, Any], error: type[Exception], reason: Reason | None
) -> None:
    with pytest.raises(error) as caught:
        await system.tool(tool, **arguments)
    if reason is not None:
        assert caught.value.reason is reason  # type: ignore[attr-defined]
    assert caught.value.message and "Traceback" not in caught.value.message  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_mcp_reads_what_grpc_reads(system: System, mode: str) -> None:
    expected = await system.tool("get_field_info", table_id="Projects")
    async with Client(system.mcp_url, mode=mode) as client:
        result = await client.call_tool("get_field_info", {"table_id": "Projects"})
        resource = await client.read_resource(f"airtable://{BASE}/Working%20Hours/schema")
        listed = await client.list_resources()
    assert not result.is_error and result.structured_content == expected
    assert "Working Hours" in str(resource.contents[0])
    assert f"airtable://{BASE}/schema" in {str(item.uri) for item in listed.resources}


async def test_airtable_out_of_order_is_an_error_and_nothing_is_invented(system: System) -> None:
    system.emulator.fault("status", status=503, times=50)
    async with Client(system.mcp_url) as client:
        result = await client.call_tool("get_records", {"table_id": "Tasks"}, read_timeout_seconds=60)
    assert result.is_error
    assert result.structured_content["error"]["reason"] in ("AIRTABLE_UNAVAILABLE", "DEADLINE")
    system.emulator.clear_faults()
    assert (await system.tool("get_records", table_id="Tasks"))["count"] > 0
