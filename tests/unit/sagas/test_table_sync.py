"""table_sync: planned from two sets of rows, written in chunks, and put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from pyairtable_platform.common.errors import FailedPrecondition, OutcomeUnknown, Unavailable
from pyairtable_platform.sagas.definition import StepCall
from pyairtable_platform.sagas.model import Json
from pyairtable_platform.sagas.ports import FieldOf, Interrupted, Platform, Row, TableOf, TableSchema, Written
from pyairtable_platform.sagas.table_plan import plan_rows
from pyairtable_platform.sagas.types import table_sync

GIVEN = {
    "workspace": "acme",
    "base_id": "app1",
    "table_id": "target",
    "source_base_id": "",
    "source_table_id": "source",
    "key_field": "Name",
    "fields": [],
    "allow_delete": True,
    "max_changes": 1000,
    "typecast": False,
    "dry_run": False,
}
FIELDS = (FieldOf("f1", "Name", "singleLineText", {}), FieldOf("f2", "Hours", "number", {}))


class Gateway:
    """ports.Airtable with two tables; a repeated key returns the first answer, as the real one does."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Json]] = {
            "source": {f"s{n}": {"Name": f"n{n}", "Hours": n} for n in range(1, 120)},
            "target": {**{f"t{n}": {"Name": f"n{n}"} for n in range(1, 70)}, "t900": {"Name": "gone", "Hours": 4}},
        }
        self.answers: dict[str, list[Written]] = {}
        self.dies_at = -1
        self.loses_answer = False
        self.is_in_doubt = False

    async def table(self, table: TableOf) -> TableSchema:
        return TableSchema(table.table, table.table, FIELDS)

    async def rows(self, table: TableOf, fields: Sequence[str]) -> list[Row]:
        return [Row(key, dict(cells)) for key, cells in self.tables[table.table].items()]

    async def create(self, table: TableOf, rows: Sequence[Json], key: str, **_: Any) -> list[Written]:
        return self._write(key, [(f"{key}-{at}", row, "created") for at, row in enumerate(rows)])

    async def update(self, table: TableOf, rows: Sequence[Row], key: str, **_: Any) -> list[Written]:
        return self._write(key, [(row.id, row.cells, "updated") for row in rows])

    async def delete(self, table: TableOf, ids: Sequence[str], key: str) -> list[Written]:
        return self._write(key, [(record_id, None, "deleted") for record_id in ids])

    def _write(self, key: str, rows: list[tuple[str, Json | None, str]]) -> list[Written]:
        if key in self.answers:
            return self.answers[key]
        dies = len(self.answers) == self.dies_at
        if dies and self.is_in_doubt:
            return self._in_doubt(key, rows)
        if dies and not self.loses_answer:
            raise FailedPrecondition("no")
        for record_id, cells, _ in rows:
            if cells is None:
                del self.tables["target"][record_id]
            else:
                kept = self.tables["target"].setdefault(record_id, {}) | cells
                self.tables["target"][record_id] = {k: v for k, v in kept.items() if v is not None}
        self.answers[key] = [Written(record_id, state) for record_id, _, state in rows]
        if dies:
            raise Unavailable("the answer was lost")
        return self.answers[key]

    def _in_doubt(self, key: str, rows: list[tuple[str, Json | None, str]]) -> list[Written]:
        """Write every other row, and say of none whether it was: the answer that this key has for ever."""
        self.dies_at = -1
        self._write(f"{key}-half", rows[::2])
        self.answers[key] = [Written("", "unknown") for _ in rows]
        return self.answers[key]


async def planned(gateway: Gateway) -> tuple[Platform, StepCall]:
    """The call of `apply`, after the plan."""
    platform = cast(Platform, type("P", (), {"airtable": gateway})())
    memos: dict[str, Json] = {}

    async def note(memo: Json) -> None:
        memos["apply"] = memo

    async def go_on() -> None:
        return None

    call = StepCall("s", "plan", GIVEN, {}, "", "", memos, note, go_on)
    memos["plan"] = (await table_sync.plan(platform, call)).memo or {}
    return platform, replace(call, step="apply")


def contents(gateway: Gateway) -> list[Json]:
    return sorted(gateway.tables["target"].values(), key=lambda cells: str(cells["Name"]))


async def test_the_table_gets_the_rows_of_the_other() -> None:
    gateway = Gateway()
    platform, call = await planned(gateway)
    done = await table_sync.apply(platform, call)
    assert done.output["rows_written"] == 69 + 50 + 1
    assert contents(gateway) == sorted(gateway.tables["source"].values(), key=lambda cells: str(cells["Name"]))


async def test_the_undo_list_names_every_row_and_what_it_held() -> None:
    gateway = Gateway()
    platform, call = await planned(gateway)
    listed = (await table_sync.apply(platform, call)).output["undo_list"]
    assert len(listed) == 69 + 50 + 1
    assert listed[0] == {"action": "update", "record_id": "t1", "before": {"Hours": None}}
    assert listed[-1] == {"action": "delete", "record_id": "t900", "before": {"Name": "gone", "Hours": 4}}
    assert all(row["record_id"] in gateway.tables["target"] for row in listed if row["action"] == "create")


async def test_a_cancellation_stops_between_two_chunks_and_the_table_is_put_back() -> None:
    gateway = Gateway()
    before = contents(gateway)
    platform, call = await planned(gateway)

    async def cancelled_after_two() -> None:
        if len(gateway.answers) == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        await table_sync.apply(platform, replace(call, stop_here=cancelled_after_two))
    assert len(gateway.answers) == 2
    await table_sync.undo(platform, call)
    assert contents(gateway) == before


@pytest.mark.parametrize("loses_answer", [False, True])
@pytest.mark.parametrize("at", range(4))
async def test_wherever_it_fails_the_table_is_put_back(at: int, loses_answer: bool) -> None:
    gateway = Gateway()
    before = contents(gateway)
    platform, call = await planned(gateway)
    gateway.dies_at, gateway.loses_answer = at, loses_answer
    with pytest.raises((FailedPrecondition, Unavailable)):
        await table_sync.apply(platform, call)
    gateway.dies_at = -1
    await table_sync.undo(platform, call)
    await table_sync.undo(platform, call)
    assert contents(gateway) == before


async def test_a_chunk_that_failed_before_a_crash_is_not_passed_over() -> None:
    gateway = Gateway()
    platform, call = await planned(gateway)
    gateway.is_in_doubt, gateway.dies_at = True, 1
    for _ in range(2):
        with pytest.raises(FailedPrecondition):
            await table_sync.apply(platform, call)


@pytest.mark.parametrize("in_undo", [False, True], ids=["applying", "undoing"])
@pytest.mark.parametrize("at", range(4))
async def test_what_nobody_knows_is_found_out_by_a_look(at: int, in_undo: bool) -> None:
    """The gateway has one answer for a key for ever, also when that is "unknown"."""
    gateway = Gateway()
    before = contents(gateway)
    platform, call = await planned(gateway)
    gateway.is_in_doubt = True
    if in_undo:
        await table_sync.apply(platform, call)
    gateway.dies_at = len(gateway.answers) + at
    with pytest.raises((FailedPrecondition, OutcomeUnknown)):
        await (table_sync.undo if in_undo else table_sync.apply)(platform, call)
    await table_sync.undo(platform, call)
    assert contents(gateway) == before


def test_rows_whose_key_stands_twice_are_left_alone() -> None:
    twice = [Row("s1", {"Name": "a"}), Row("s2", {"Name": "a "}), Row("s3", {})]
    plan = plan_rows(twice, [Row("t1", {"Name": "a"})], "Name", ["Name"], allow_delete=True)
    assert plan.changes == 0
