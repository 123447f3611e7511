"""Single records and paging."""

from __future__ import annotations

from typing import Any

import pytest
from unit.mcp_server.fake_gateway import FakeGateway, text_field

from pyairtable_platform.common.errors import (
    Denied,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    PyAirtableError,
    RateLimited,
    Reason,
)
from pyairtable_platform.mcp_server.model import DEFAULT_BASE, BaseRef, RowError, RowOutcome, TableRef
from pyairtable_platform.mcp_server.service import Caller, ToolService
from pyairtable_platform.mcp_server.writes import the_record


@pytest.fixture
def tasks(gateway: FakeGateway) -> FakeGateway:
    rows = [{"Name": f"Task {number:02d}"} for number in range(25)]
    gateway.add_table("Tasks", [text_field("Name"), text_field("Hours", "number", precision=1)], rows)
    return gateway


async def call(tools: ToolService, name: str, key: str = "", **arguments: Any) -> dict[str, Any]:
    return await tools.call(name, arguments, Caller("acme", key))


async def test_pages_say_whether_there_is_more_and_lead_to_the_end(tools: ToolService, tasks: FakeGateway) -> None:
    seen: list[str] = []
    token = ""
    for _ in range(3):
        page = await call(tools, "get_records", table_id="Tasks", max_records=10, page_token=token)
        seen += [record["fields"]["Name"] for record in page["records"]]
        assert page["count"] == len(page["records"])
        assert page["has_more"] == bool(page["next_page_token"])
        token = page["next_page_token"]
    assert seen == [f"Task {number:02d}" for number in range(25)]
    assert token == ""


async def test_a_hundred_records_by_default(tools: ToolService, tasks: FakeGateway) -> None:
    await call(tools, "get_records", table_id="Tasks")
    assert tasks.queries[-1].page_size == 100


async def test_the_default_base_is_meant_when_none_is_named(gateway: FakeGateway, tools: ToolService) -> None:
    seen: list[BaseRef] = []

    class Watching(FakeGateway):
        async def get_record(self, table: TableRef, record_id: str) -> Any:
            seen.append(table.base)
            raise NotFound("no", reason=Reason.RECORD_NOT_FOUND)

    for arguments in ({}, {"base_id": ""}, {"base_id": None}, {"base_id": "crm"}):
        with pytest.raises(NotFound):
            await ToolService(Watching()).call(
                "get_record", {"table_id": "T", "record_id": "rec1", **arguments}, Caller("acme")
            )
    assert seen == [*[BaseRef("acme", DEFAULT_BASE)] * 3, BaseRef("acme", "crm")]


async def test_a_record_lives_from_creation_to_deletion(tools: ToolService, tasks: FakeGateway) -> None:
    created = (await call(tools, "create_record", table_id="tasks", fields={"Name": "New", "Hours": 3}))["record"]
    assert created["fields"] == {"Name": "New", "Hours": 3}
    where = {"table_id": "Tasks", "record_id": created["id"]}
    updated = await call(tools, "update_record", **where, fields={"Hours": None})
    assert updated["record"]["fields"] == {"Name": "New"}
    assert (await call(tools, "get_record", **where))["record"]["id"] == created["id"]
    assert await call(tools, "delete_record", **where) == {"deleted": True, "id": created["id"]}
    with pytest.raises(NotFound) as caught:
        await call(tools, "delete_record", **where)
    assert caught.value.reason is Reason.RECORD_NOT_FOUND


async def test_a_refused_row_is_an_error_that_names_the_cell(tools: ToolService, tasks: FakeGateway) -> None:
    tasks.refuse["many"] = RowError("INVALID_INPUT", "Hours cannot take 'many'", "Hours")
    with pytest.raises(InvalidInput) as caught:
        await call(tools, "create_record", table_id="Tasks", fields={"Name": "x", "Hours": "many"})
    assert caught.value.message == "Hours cannot take 'many'"
    assert caught.value.violations[0].field == "fields.Hours"


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("unknown", "AIRTABLE_UNAVAILABLE", OutcomeUnknown),
        ("failed", "BASE_READ_ONLY", Denied),
        ("not_attempted", "RATE_LIMITED", RateLimited),
        ("failed", "A_REASON_OF_TOMORROW", InvalidInput),
    ],
)
def test_the_outcome_of_a_row_is_an_error_of_its_own_kind(
    state: Any, reason: str, expected: type[PyAirtableError]
) -> None:
    with pytest.raises(expected, match="because"):
        the_record([RowOutcome(0, state, error=RowError(reason, "because"))])


async def test_every_write_carries_the_key_of_its_call(tools: ToolService, tasks: FakeGateway) -> None:
    await call(tools, "create_record", "order-7", table_id="Tasks", fields={"Name": "x"})
    await call(tools, "create_record", table_id="Tasks", fields={"Name": "x"})
    long_key = "k" * 128
    await call(tools, "create_record", long_key, table_id="Tasks", fields={"Name": "x"})
    keys = [write.options.idempotency_key for write in tasks.writes]
    assert keys[:2] == ["order-7:create", ""]
    assert keys[2].endswith(":create") and len(keys[2]) <= 128 and long_key not in keys[2]
    with pytest.raises(InvalidInput, match="idempotency_key"):
        await call(tools, "create_record", "k" * 129, table_id="Tasks", fields={"Name": "x"})
