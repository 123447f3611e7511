"""find_duplicates: any kind of cell, all rows, a proposal that loses nothing."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.mcp_server.fake_gateway import FakeGateway, text_field

from pyairtable_platform.mcp_server.cells import is_empty
from pyairtable_platform.mcp_server.comparing import cell_key
from pyairtable_platform.mcp_server.merging import propose
from pyairtable_platform.mcp_server.model import Record, Table
from pyairtable_platform.mcp_server.service import Caller, ToolService
from pyairtable_platform.mcp_server.tools.duplicates import Scan

PDF = {"id": "att1", "url": "https://example.com/1", "filename": "Plan.pdf", "size": 9, "type": "application/pdf"}


@pytest.mark.parametrize(
    ("kind", "left", "right", "same"),
    [
        ("singleLineText", " Acme GmbH ", "acme gmbh", True),
        ("singleLineText", "Caf\u00e9", "Cafe\u0301", True),
        ("singleLineText", "acme", "acme ag", False),
        ("number", 5, 5.0, True),
        ("number", 5, 6, False),
        ("multipleSelects", ["a", "b"], ["B", "A"], True),
        ("multipleSelects", ["a", "b"], ["a"], False),
        ("multipleRecordLinks", ["rec1", "rec2"], ["rec2", "rec1"], True),
        ("multipleAttachments", [PDF], [{**PDF, "id": "att2", "url": "https://example.com/2"}], True),
        ("multipleAttachments", [PDF], [{**PDF, "size": 10}], False),
        ("singleCollaborator", {"id": "usr1", "name": "Ada"}, {"id": "usr1", "name": "Ada L."}, True),
        ("multipleLookupValues", [1, 2.0], [2, 1.0], True),
        ("multipleLookupValues", [[1], ["a"]], [["A"], [1.0]], True),
        ("barcode", {"text": "123", "type": "ean"}, {"text": "123"}, True),
        ("singleLineText", "   ", None, True),
        ("checkbox", False, None, True),
    ],
)
def test_cells_that_hold_the_same_are_equal(kind: str, left: Any, right: Any, same: bool) -> None:
    field = text_field("F", kind)
    assert (cell_key(left, field) == cell_key(right, field)) is same


def people(gateway: FakeGateway, rows: list[dict[str, Any]]) -> Table:
    fields = [
        text_field("Name"),
        text_field("Email", "email"),
        text_field("Tags", "multipleSelects"),
        text_field("Phone"),
        text_field("Count", "count"),
    ]
    return gateway.add_table("People", fields, rows)


async def call(tools: ToolService, **arguments: Any) -> dict[str, Any]:
    return await tools.call("find_duplicates", {"table_id": "People", **arguments}, Caller())


async def test_lists_do_not_crash_and_are_compared(tools: ToolService, gateway: FakeGateway) -> None:
    people(gateway, [{"Name": "a", "Tags": ["x", "y"]}, {"Name": "b", "Tags": ["y", "x"]}, {"Name": "c"}])
    result = await call(tools, fields=["Tags"])
    assert [group["count"] for group in result["groups"]] == [2]
    assert result["groups"][0]["values"] == {"Tags": ["x", "y"]}


async def test_all_rows_are_scanned_and_counted(tools: ToolService, gateway: FakeGateway) -> None:
    rows: list[dict[str, Any]] = [{"Name": f"n{number}"} for number in range(2500)]
    people(gateway, [*rows, {"Name": "N7 "}, {"Email": "lonely@example.com"}])
    result = await call(tools)
    assert result["fields"] == ["Name"]
    assert (result["records_scanned"], result["records_ignored"]) == (2502, 1)
    assert (result["group_count"], result["duplicate_count"]) == (1, 1)


async def test_rows_that_are_empty_in_all_fields_are_left_out_unless_asked_for(
    tools: ToolService, gateway: FakeGateway
) -> None:
    people(gateway, [{"Phone": "1"}, {"Phone": "2"}, {"Name": "a"}, {"Name": "A", "Email": "a@example.com"}])
    assert (await call(tools, fields=["Name"]))["group_count"] == 1
    assert (await call(tools, fields=["Name"], ignore_empty=False))["group_count"] == 2
    assert (await call(tools, fields=["Name", "Email"]))["group_count"] == 0


async def test_a_proposal_fills_joins_and_names_conflicts(tools: ToolService, gateway: FakeGateway) -> None:
    table = people(
        gateway,
        [
            {"Name": "Ada", "Email": "ada@example.com", "Tags": ["x"], "Count": 1},
            {"Name": "ada", "Tags": ["y", "x"], "Phone": "7"},
            {"Name": "ADA ", "Email": "other@example.com", "Tags": ["z"], "Phone": "8"},
        ],
    )
    before = copy.deepcopy(gateway.records)
    [group] = (await call(tools))["groups"]
    first, second, third = [row.id for row in gateway.rows(table)]
    proposal = group["proposal"]
    assert proposal["keep"] == third
    assert sorted(proposal["delete"]) == sorted([first, second])
    assert proposal["fill"] == {"Tags": ["z", "x", "y"]}
    conflicts = {item["field"]: (item["kept"], item["other"]) for item in proposal["conflicts"]}
    assert conflicts == {"Email": ("other@example.com", "ada@example.com"), "Phone": ("8", "7")}
    assert gateway.records == before and not gateway.writes


async def test_only_so_many_groups_but_all_are_counted(tools: ToolService, gateway: FakeGateway) -> None:
    people(gateway, [{"Name": f"n{number // 2}"} for number in range(20)])
    result = await call(tools, max_groups=3)
    assert (len(result["groups"]), result["group_count"], result["duplicate_count"]) == (3, 10, 10)


VALUES = st.sampled_from(["a", "A ", "b", "", None, "ä", "a\u0308"])
ROWS = st.lists(
    st.fixed_dictionaries({"Name": VALUES, "Tags": st.lists(st.sampled_from("xyz"), max_size=3)}), max_size=12
)


@settings(max_examples=100, deadline=None)
@given(rows=ROWS, seed=st.integers())
def test_groups_do_not_depend_on_the_order_and_leave_nobody_out(rows: list[dict[str, Any]], seed: int) -> None:
    fields = [text_field("Name"), text_field("Tags", "multipleSelects")]
    records = [Record(f"rec{at}", "2026-01-01T00:00:00.000Z", row) for at, row in enumerate(rows)]
    shuffled = random.Random(seed).sample(records, len(records))
    scans = []
    for order in (records, shuffled):
        scan = Scan(fields, ignore_empty=True)
        for record in order:
            scan.add(record)
        scans.append({frozenset(ids) for ids in scan.groups()})
        assert scan.scanned == len(records)
    assert scans[0] == scans[1]
    grouped = {record_id: group for group in scans[0] for record_id in group}
    for left in records:
        for right in records:
            keys = [tuple(cell_key(item.fields[field.name], field) for field in fields) for item in (left, right)]
            if left is not right and keys[0] == keys[1] and any(keys[0]):
                assert grouped[left.id] is grouped[right.id]


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.dictionaries(st.sampled_from(["Name", "Phone"]), VALUES), min_size=2, max_size=5))
def test_a_proposal_loses_no_value_silently(rows: list[dict[str, Any]]) -> None:
    fields = (text_field("Name"), text_field("Phone"))
    records = [Record(f"rec{at}", f"2026-01-0{at + 1}T00:00:00.000Z", row) for at, row in enumerate(rows)]
    proposal = propose(records, Table("tbl1", "T", fields[0].id, fields))
    kept = next(record for record in records if record.id == proposal.keep)
    assert {proposal.keep, *proposal.delete} == {record.id for record in records}
    conflicts = {item.field for item in proposal.conflicts}
    for field in fields:
        final = proposal.fill.get(field.name, kept.fields.get(field.name))
        others = [record.fields.get(field.name) for record in records]
        differs = any(not is_empty(value) and cell_key(value, field) != cell_key(final, field) for value in others)
        assert differs == (field.name in conflicts)


def test_empty_cells_are_filled_in_the_form_that_airtable_takes_back() -> None:
    fields = (
        text_field("Name"),
        text_field("Phone"),
        text_field("Files", "multipleAttachments"),
        text_field("Owner", "singleCollaborator"),
        text_field("Team", "multipleCollaborators"),
    )
    ada, bob = {"id": "usr1", "name": "Ada", "email": "ada@example.com"}, {"id": "usr2", "name": "Bob"}
    kept = Record("rec1", "2026-01-01T00:00:00.000Z", {"Name": "a", "Team": [ada]})
    other = Record("rec2", "2026-01-02T00:00:00.000Z", {"Files": [PDF], "Owner": ada})
    third = Record("rec3", "2026-01-03T00:00:00.000Z", {"Phone": "7", "Team": [bob]})
    proposal = propose([third, other, kept], Table("tbl1", "T", fields[0].id, fields))
    assert proposal.keep == "rec1"
    assert proposal.fill == {
        "Phone": "7",
        "Files": [{"url": "https://example.com/1", "filename": "Plan.pdf"}],
        "Owner": {"id": "usr1"},
        "Team": [{"id": "usr1"}, {"id": "usr2"}],
    }
    assert proposal.conflicts == []
