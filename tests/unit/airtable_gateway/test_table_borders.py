"""A binding that names tables holds for records too: Airtable finds a record by its id in the whole base."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyairtable_platform.airtable_gateway.service import GatewayService
from pyairtable_platform.airtable_gateway.wire import AirtableCall, Json, Shape
from pyairtable_platform.common.errors import InvalidInput, NotFound, Reason
from pyairtable_platform.common.registry import BaseBinding, LlmPolicy, Workspace

BASE = "appEmulatorCrm001"
OURS, THEIRS = "recOurs0000000001", "recTheirs00000001"
TABLES = {"Projects": OURS, "Salaries": THEIRS}


class FakeAirtable:
    """Finds records by id in whatever table they are, and lists those of one table, as Airtable does."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def make(self, call: AirtableCall, *_: Any) -> Json:
        self.paths.append(call.path)
        parts = call.path.split("/")[2:]
        if call.operation == "list_records":
            formula = dict(call.query)["filterByFormula"]
            return {"records": [{"id": TABLES[parts[0]]}] if TABLES[parts[0]] in formula else []}
        return {"id": parts[1], "comments": []}


def service(airtable: FakeAirtable, *tables: str) -> GatewayService:
    """The rules over a workspace that may use some tables (none named: all)."""
    binding = BaseBinding("crm", BASE, "ReadWrite", True, tables)
    workspace = Workspace("acme", "acme", 1, False, None, 0, (binding,), LlmPolicy())
    registry: Any = SimpleNamespace(resolve=lambda _: workspace, find=lambda _: workspace)
    return GatewayService(registry=registry, calls=cast(Any, airtable), usage=cast(Any, None))


ByRecord = Callable[[GatewayService, str], Awaitable[Any]]
BY_RECORD: dict[str, ByRecord] = {
    "get": lambda rules, record: rules.get_record("acme", "crm", "Projects", record, Shape()),
    "list comments": lambda rules, record: rules.list_comments(
        "acme", "crm", "Projects", record, page_size=0, page_token=""
    ),
    "comment": lambda rules, record: rules.create_comment("acme", "crm", "Projects", record, "hello", ""),
    "edit a comment": lambda rules, record: rules.update_comment("acme", "crm", "Projects", record, "com1", "hello"),
    "delete a comment": lambda rules, record: rules.delete_comment("acme", "crm", "Projects", record, "com1"),
}


@pytest.mark.parametrize("what", BY_RECORD)
async def test_a_record_of_a_table_that_is_not_bound_is_not_there(what: str) -> None:
    airtable = FakeAirtable()
    with pytest.raises(NotFound) as refused:
        await BY_RECORD[what](service(airtable, "Projects"), THEIRS)
    assert refused.value.reason is Reason.RECORD_NOT_FOUND
    assert not any(THEIRS in path for path in airtable.paths)


@pytest.mark.parametrize("what", BY_RECORD)
async def test_a_record_of_a_bound_table_is(what: str) -> None:
    await BY_RECORD[what](service(FakeAirtable(), "Projects"), OURS)


@pytest.mark.parametrize("what", BY_RECORD)
async def test_who_may_use_all_tables_pays_no_call_more(what: str) -> None:
    airtable = FakeAirtable()
    await BY_RECORD[what](service(airtable), THEIRS)
    assert len(airtable.paths) == 1


async def test_no_formula_is_made_of_what_is_no_record_id() -> None:
    with pytest.raises(InvalidInput):
        await service(FakeAirtable(), "Projects").get_record("acme", "crm", "Projects", 'rec" = "', Shape())
