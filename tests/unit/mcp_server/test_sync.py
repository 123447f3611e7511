"""sync_tables: a preview that changes nothing, an application that reports, and nothing to do the second time."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.mcp_server.fake_gateway import FakeGateway, text_field

from pyairtable_platform.common.errors import (
    FailedPrecondition,
    InvalidInput,
    NotFound,
    QuotaExhausted,
    Unavailable,
)
from pyairtable_platform.mcp_server.model import Field, RowError, Table
from pyairtable_platform.mcp_server.service import Caller, ToolService
from pyairtable_platform.mcp_server.sync_fields import FieldPair, mismatch

CHOICES = [{"name": "Open"}, {"name": "Done"}]

SOURCE = (
    text_field("Key"),
    text_field("Hours", "number", precision=1),
    text_field("Status", "singleSelect", choices=[*CHOICES, {"name": "New"}]),
    text_field("Twice", "formula", result={"type": "number"}),
    text_field("Created", "createdTime"),
    text_field("Only here"),
    text_field("Tags", "multipleSelects", choices=[{"name": "a"}, {"name": "b"}]),
)
TARGET = (
    text_field("Key"),
    text_field("hours", "number", precision=1),
    text_field("Status", "singleSelect", choices=CHOICES),
    text_field("Twice", "number", precision=0),
    text_field("Created", "createdTime"),
    text_field("Tags", "multipleSelects", choices=[{"name": "a"}, {"name": "b"}]),
    text_field("Own note"),
)


@pytest.fixture
def target(gateway: FakeGateway) -> Table:
    gateway.add_table(
        "Source",
        SOURCE,
        [
            {"Key": "k1", "Hours": 1.5, "Status": "Open", "Twice": 3},
            {"Key": "k2", "Hours": 2, "Tags": ["b", "a"]},
            {"Key": "k3", "Status": "Done"},
            {"Hours": 9},
            {"Key": "twin"},
            {"Key": "Twin "},
        ],
    )
    rows: list[dict[str, Any]] = [
        {"Key": "k1", "hours": 1.5, "Status": "Open", "Twice": 3, "Own note": "keep"},
        {"Key": "K2", "hours": 7, "Status": "Open", "Tags": ["a", "b"], "Own note": "keep too"},
        {"Key": "gone"},
        {"Key": "twin"},
    ]
    return gateway.add_table("Target", TARGET, rows)


async def call(tools: ToolService, key: str = "", **arguments: Any) -> dict[str, Any]:
    asked = {"source_table_id": "Source", "target_table_id": "Target", "key_field": "Key", **arguments}
    return await tools.call("sync_tables", asked, Caller(idempotency_key=key))


async def test_a_dry_run_is_the_default_and_changes_nothing(
    tools: ToolService, gateway: FakeGateway, target: Table
) -> None:
    before = copy.deepcopy(gateway.records)
    report = await call(tools)
    assert gateway.records == before and not gateway.writes
    assert (report["dry_run"], report["applied"], report["complete"]) == (True, None, False)
    assert (report["to_create"], report["to_update"], report["to_delete"], report["unchanged"]) == (1, 1, 1, 1)
    assert report["sample_create"] == [{"Key": "k3", "Status": "Done"}]
    assert report["sample_update"][0]["changes"] == {"Key": "k2", "hours": 2, "Status": None}
    assert report["sample_delete"][0]["key"] == "gone"


async def test_what_takes_no_part_is_said(tools: ToolService, target: Table) -> None:
    report = await call(tools)
    assert {item["field"]: item["reason"] for item in report["skipped_fields"]} == {
        "Created": "the target field is computed (createdTime)",
        "Only here": "the target table has no field of this name",
    }
    assert sorted((row["table"], row["key"], row["reason"]) for row in report["skipped"]) == [
        ("source", "", "Key is empty"),
        ("source", "Twin ", "Key 'Twin ' stands more than once"),
        ("source", "twin", "Key 'twin' stands more than once"),
    ]


async def test_applying_makes_the_rows_equal_and_leaves_the_rest_alone(
    tools: ToolService, gateway: FakeGateway, target: Table
) -> None:
    report = await call(tools, "key", dry_run=False)
    assert report["complete"] and report["errors"] == []
    assert (report["applied"]["created"], report["applied"]["updated"], report["applied"]["deleted"]) == (1, 1, 0)
    rows = {record.fields["Key"]: record.fields for record in gateway.rows(target)}
    assert rows["k2"] == {"Key": "k2", "hours": 2, "Tags": ["a", "b"], "Own note": "keep too"}
    assert rows["k3"] == {"Key": "k3", "Status": "Done"}
    assert rows.keys() == {"k1", "k2", "k3", "gone", "twin"}
    assert all(write.options.idempotency_key.startswith("key:") for write in gateway.writes)


async def test_a_second_run_finds_nothing_to_do(tools: ToolService, gateway: FakeGateway, target: Table) -> None:
    await call(tools, dry_run=False, allow_delete=True)
    written = len(gateway.writes)
    report = await call(tools, dry_run=False, allow_delete=True)
    assert len(gateway.writes) == written
    assert (report["to_create"], report["to_update"], report["to_delete"]) == (0, 0, 0)
    assert report["complete"] and report["applied"]["updated"] == 0


async def test_rows_are_deleted_only_when_allowed(tools: ToolService, gateway: FakeGateway, target: Table) -> None:
    report = await call(tools, dry_run=False, allow_delete=True)
    assert report["applied"]["deleted"] == 1
    assert "gone" not in {record.fields["Key"] for record in gateway.rows(target)}


async def test_a_plan_above_the_limit_is_refused_whole(tools: ToolService, gateway: FakeGateway, target: Table) -> None:
    with pytest.raises(FailedPrecondition, match="2 changes"):
        await call(tools, dry_run=False, max_changes=1)
    assert not gateway.writes


async def test_an_unknown_choice_keeps_its_row_out_unless_typecast(
    tools: ToolService, gateway: FakeGateway, target: Table
) -> None:
    await tools.call("create_record", {"table_id": "Source", "fields": {"Key": "k4", "Status": "New"}}, Caller())
    report = await call(tools)
    assert ("k4", "Status has no choice 'New': add it, or set typecast") in {
        (row["key"], row["reason"]) for row in report["skipped"]
    }
    report = await call(tools, dry_run=False, typecast=True)
    assert report["applied"]["created"] == 2 and gateway.writes[-1].options.typecast


async def test_failed_rows_are_reported_one_by_one(tools: ToolService, gateway: FakeGateway, target: Table) -> None:
    gateway.refuse["k3"] = RowError("INVALID_INPUT", "no k3 here", "Key")
    report = await call(tools, dry_run=False)
    assert not report["complete"]
    assert (report["applied"]["updated"], report["applied"]["failed"]) == (1, 1)
    assert report["errors"][0]["action"] == "create"
    assert report["errors"][0]["row"]["message"] == "no k3 here"


async def test_a_failure_after_the_first_writes_is_reported_with_them(
    tools: ToolService, gateway: FakeGateway, target: Table
) -> None:
    gateway.fail["create_records"] = QuotaExhausted("used up")
    report = await call(tools, dry_run=False)
    assert (report["applied"]["updated"], report["applied"]["failed"], report["complete"]) == (1, 1, False)
    assert report["errors"][0]["row"]["reason"] == "QUOTA_EXHAUSTED"
    gateway.fail["create_records"] = Unavailable("lost")
    change = {"table_id": "Source", "record_id": "rec00000000000002", "fields": {"Hours": 5}}
    await tools.call("update_record", change, Caller())
    report = await call(tools, dry_run=False)
    assert (report["applied"]["unknown"], report["errors"][0]["row"]["state"]) == (1, "unknown")


async def test_a_failure_before_anything_was_written_is_an_error(
    tools: ToolService, gateway: FakeGateway, target: Table
) -> None:
    gateway.fail["update_records"] = QuotaExhausted("used up")
    with pytest.raises(QuotaExhausted):
        await call(tools, dry_run=False)


async def test_some_fields_only(tools: ToolService, target: Table) -> None:
    report = await call(tools, fields=["Status"])
    assert report["synced_fields"] == ["Key", "Status"]


@pytest.mark.parametrize(
    ("arguments", "error", "field"),
    [
        ({"target_table_id": "Source"}, InvalidInput, "target_table_id"),
        ({"key_field": "Absent"}, NotFound, "key_field"),
        ({"key_field": "Only here"}, NotFound, "key_field"),
        ({"key_field": "Created"}, InvalidInput, "key_field"),
        ({"source_table_id": "Absent"}, NotFound, "source_table_id"),
        ({"target_base_id": "appAbsent"}, NotFound, None),
    ],
)
async def test_what_cannot_be_compared_is_refused(
    tools: ToolService, target: Table, arguments: dict[str, Any], error: type[Exception], field: str | None
) -> None:
    with pytest.raises(error) as caught:
        await call(tools, **arguments)
    if field is not None:
        assert caught.value.violations[0].field == field  # type: ignore[attr-defined]


def links(table_id: str) -> Field:
    return text_field("L", "multipleRecordLinks", linkedTableId=table_id)


@pytest.mark.parametrize(
    ("source", "target", "fits"),
    [
        (text_field("F"), text_field("F", "multilineText"), True),
        (text_field("F", "singleSelect"), text_field("F"), True),
        (text_field("F", "number"), text_field("F", "currency"), True),
        (text_field("F", "number"), text_field("F"), False),
        (text_field("F"), text_field("F", "number"), False),
        (text_field("F", "date"), text_field("F", "dateTime"), True),
        (text_field("F", "dateTime"), text_field("F", "date"), False),
        (text_field("F", "rollup", result={"type": "number"}), text_field("F", "number"), True),
        (text_field("F", "formula", result={"type": "number"}), text_field("F", "date"), False),
        (text_field("F", "multipleLookupValues"), text_field("F"), False),
        (links("tbl1"), links("tbl1"), True),
        (links("tbl1"), links("tbl2"), False),
    ],
)
def test_types_are_checked_against_the_target(source: Field, target: Field, fits: bool) -> None:
    assert (mismatch(source, target) == "") is fits


@pytest.mark.parametrize(
    ("kind", "given", "present", "same"),
    [
        ("number", 1.26, 1.3, True),
        ("number", 1.2, 1.3, False),
        ("percent", 0.1234, 0.123, True),
        ("dateTime", "2026-11-22T10:00:00.000Z", "2026-11-22T11:00:00+01:00", True),
        ("dateTime", "2026-11-22", "2026-11-22T00:00:00.000Z", True),
        ("richText", "a\n", "a", True),
        ("singleLineText", "a", "A", False),
        ("multipleAttachments", [{"id": "1", "filename": "x", "size": 3}], [{"filename": "x", "size": 3}], True),
        ("multipleCollaborators", [{"id": "u1", "name": "A"}], [{"id": "u1", "email": "a@example.com"}], True),
        ("checkbox", False, None, True),
        ("checkbox", True, None, False),
    ],
)  # fmt: skip
def test_cells_that_mean_the_same_are_not_written(kind: str, given: Any, present: Any, same: bool) -> None:
    field = text_field("F", kind, precision=1)
    assert FieldPair(field, field).same(given, present) is same


CELLS = st.fixed_dictionaries(
    {"Key": st.sampled_from(["a", "A", "b", "c", " c", "", None]), "Hours": st.sampled_from([None, 1, 2.5])}
)


@settings(max_examples=60, deadline=None)
@given(source=st.lists(CELLS, max_size=6), target=st.lists(CELLS, max_size=6), delete=st.booleans())
async def test_any_two_tables_are_in_step_after_one_run(
    source: list[dict[str, Any]], target: list[dict[str, Any]], delete: bool
) -> None:
    gateway = FakeGateway()
    fields = (text_field("Key"), text_field("Hours", "number", precision=1))
    gateway.add_table("Source", fields, source)
    gateway.add_table("Target", fields, target)
    tools = ToolService(gateway)
    first = await call(tools, dry_run=False, allow_delete=delete)
    assert first["complete"]
    second = await call(tools, dry_run=False, allow_delete=delete)
    assert (second["to_create"], second["to_update"]) == (0, 0)
    assert second["to_delete"] == (0 if delete else first["to_delete"])
