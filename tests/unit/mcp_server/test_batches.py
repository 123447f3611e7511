"""batch_create_records and batch_update_records: any number of rows, the outcome of each."""

from __future__ import annotations

from typing import Any

import pytest
from unit.mcp_server.fake_gateway import FakeGateway, text_field

from pyairtable_platform.common.errors import InvalidInput, NotFound, QuotaExhausted, Reason
from pyairtable_platform.mcp_server.model import RowError, Table
from pyairtable_platform.mcp_server.service import Caller, ToolService


@pytest.fixture
def table(gateway: FakeGateway) -> Table:
    return gateway.add_table("Tasks", [text_field("Name"), text_field("Hours", "number")], [{"Name": "old"}])


async def create(tools: ToolService, records: list[Any], key: str = "", **more: Any) -> dict[str, Any]:
    arguments = {"table_id": "Tasks", "records": records, **more}
    return await tools.call("batch_create_records", arguments, Caller(idempotency_key=key))


async def update(tools: ToolService, records: list[Any], **more: Any) -> dict[str, Any]:
    return await tools.call("batch_update_records", {"table_id": "Tasks", "records": records, **more}, Caller())


async def test_more_than_ten_rows_are_one_write_with_an_outcome_each(
    tools: ToolService, gateway: FakeGateway, table: Table
) -> None:
    result = await create(tools, [{"Name": f"n{number}"} for number in range(37)], "k", typecast=True)
    assert result["summary"] == {
        "created": 37, "updated": 0, "deleted": 0, "failed": 0, "unknown": 0, "not_attempted": 0
    }  # fmt: skip
    assert result["complete"]
    assert [row["index"] for row in result["rows"]] == list(range(37))
    assert len(result["records"]) == 37 and len(gateway.rows(table)) == 38
    assert len(gateway.writes) == 1
    assert (gateway.writes[0].options.typecast, gateway.writes[0].options.idempotency_key) == (True, "k:create")


async def test_both_spellings_of_a_row_are_taken(tools: ToolService, gateway: FakeGateway, table: Table) -> None:
    await create(tools, [{"Name": "plain"}, {"fields": {"Name": "wrapped"}}])
    assert [record.fields["Name"] for record in gateway.rows(table)][1:] == ["plain", "wrapped"]
    with pytest.raises(InvalidInput) as caught:
        await create(tools, [{"fields": "text"}])
    assert caught.value.violations[0].field == "records[0].fields"


async def test_bad_rows_are_named_and_good_ones_written(tools: ToolService, gateway: FakeGateway, table: Table) -> None:
    gateway.refuse["bad"] = RowError("INVALID_INPUT", "Hours cannot take 'bad'", "Hours")
    result = await create(tools, [{"Name": "a"}, {"Hours": "bad"}, {"Name": "c"}])
    assert not result["complete"]
    assert (result["summary"]["created"], result["summary"]["failed"]) == (2, 1)
    bad = result["rows"][1]
    assert (bad["state"], bad["reason"], bad["field"], bad["record_id"]) == ("failed", "INVALID_INPUT", "Hours", "")


async def test_nothing_written_is_a_failure_that_names_every_row(
    tools: ToolService, gateway: FakeGateway, table: Table
) -> None:
    gateway.refuse["bad"] = RowError("INVALID_INPUT", "Hours cannot take 'bad'", "Hours")
    with pytest.raises(InvalidInput) as caught:
        await create(tools, [{"Hours": "bad"}, {"Hours": "bad"}])
    assert [item.field for item in caught.value.violations] == ["records[0]", "records[1]"]


async def test_updates_by_id_and_by_key(tools: ToolService, gateway: FakeGateway, table: Table) -> None:
    [old] = gateway.rows(table)
    result = await update(tools, [{"id": old.id, "fields": {"Hours": 3}}])
    assert result["records"][0]["fields"] == {"Name": "old", "Hours": 3}
    rows = [{"fields": {"Name": "old", "Hours": 4}}, {"fields": {"Name": "new", "Hours": 5}}]
    upserted = await update(tools, rows, key_fields=["Name"])
    assert (upserted["summary"]["updated"], upserted["summary"]["created"]) == (1, 1)
    assert gateway.writes[-1].method == "upsert_records"
    assert {record.fields["Name"]: record.fields["Hours"] for record in gateway.rows(table)} == {"old": 4, "new": 5}


@pytest.mark.parametrize(
    ("records", "field"),
    [
        ([{"fields": {"Name": "x"}}], "records[0].id"),
        ([{"id": "rec1", "fields": {}}], "records[0].fields"),
        ([{"id": "rec1", "fields": {"Name": "x"}}] * 2, "records"),
        ([{"id": "rec1", "field": {"Name": "x"}}], "records[0].fields"),
        ([], "records"),
    ],
)
async def test_wrong_rows_are_refused_before_anything_is_written(
    tools: ToolService, gateway: FakeGateway, table: Table, records: list[Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await update(tools, records)
    assert caught.value.violations[0].field == field
    assert not gateway.writes


async def test_missing_records_and_spent_quota_keep_their_kind(
    tools: ToolService, gateway: FakeGateway, table: Table
) -> None:
    with pytest.raises(NotFound) as caught:
        await update(tools, [{"id": "recAbsent", "fields": {"Name": "x"}}])
    assert caught.value.reason is Reason.RECORD_NOT_FOUND
    gateway.fail["create_records"] = QuotaExhausted("the month's calls are used up")
    with pytest.raises(QuotaExhausted):
        await create(tools, [{"Name": "x"}])
