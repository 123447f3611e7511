"""Writes of many rows over an Airtable that takes all of a batch or nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.airtable_gateway.answers import Refusal
from pyairtable_platform.airtable_gateway.explain import Target, explain
from pyairtable_platform.airtable_gateway.rows import Outcome, Row, RowsRefused, RowState, RowWriter, summary
from pyairtable_platform.common.errors import InvalidInput, NotFound, PyAirtableError, RateLimited, Reason, Unavailable

VAGUE = Refusal(422, "INVALID_VALUE_FOR_COLUMN", 'Field "City" cannot accept the provided value')


@dataclass
class Table:
    """Refuses batches with bad rows; fails as a whole at a given call."""

    bad: set[int] = field(default_factory=set)
    fails_at: tuple[int, PyAirtableError] | None = None
    written: list[int] = field(default_factory=list)
    calls: int = 0

    async def write(self, batch: Sequence[Row]) -> list[Outcome]:
        self.calls += 1
        assert len(batch) <= 10
        if self.fails_at is not None and self.calls >= self.fails_at[0]:
            raise self.fails_at[1]
        if refusal := self._refusal(batch):
            error = explain(refusal, Target("appOne", "T"))
            assert error is not None
            raise RowsRefused(refusal, error)
        self.written += [row.index for row in batch]
        return [Outcome(row.index, RowState.CREATED, f"rec{row.index}") for row in batch]

    def _refusal(self, batch: Sequence[Row]) -> Refusal | None:
        return VAGUE if any(row.index in self.bad for row in batch) else None


def rows(count: int) -> list[Row]:
    return [Row(index, fields={"City": "x"}) for index in range(count)]


@given(st.integers(1, 45), st.sets(st.integers(0, 44), max_size=12))
async def test_exactly_the_bad_rows_fail_and_every_good_one_is_written_once(count: int, bad: set[int]) -> None:
    bad = {index for index in bad if index < count}
    table = Table(bad)
    if bad and len(bad) == count:
        with pytest.raises(InvalidInput):
            await RowWriter(table.write, rows(count)).write()
        return
    outcomes = await RowWriter(table.write, rows(count)).write()
    assert [outcome.index for outcome in outcomes] == list(range(count))
    assert {outcome.index for outcome in outcomes if outcome.state is RowState.FAILED} == bad
    assert sorted(table.written) == [index for index in range(count) if index not in bad]
    assert table.calls <= math.ceil(count / 10) + len(bad) * 8
    assert sum(summary(outcomes).values()) == count


async def test_the_order_of_rows_is_kept_when_a_batch_is_cut() -> None:
    table = Table({4})
    await RowWriter(table.write, rows(20)).write()
    assert table.written == [index for index in range(20) if index != 4]


async def test_a_field_that_is_named_costs_one_more_call_only() -> None:
    class Unknown(Table):
        def _refusal(self, batch: Sequence[Row]) -> Refusal | None:
            is_bad = any("Nope" in row.fields for row in batch)
            return Refusal(422, "UNKNOWN_FIELD_NAME", 'Unknown field name: "Nope"') if is_bad else None

    table = Unknown()
    mixed = [Row(index, fields={"Nope": 1} if index in (2, 7) else {"City": "x"}) for index in range(10)]
    outcomes = await RowWriter(table.write, mixed).write()
    assert table.calls == 2
    failed = [outcome for outcome in outcomes if outcome.state is RowState.FAILED]
    assert [(outcome.index, outcome.error and outcome.error.field) for outcome in failed] == [(2, "Nope"), (7, "Nope")]


async def test_a_call_that_fails_as_a_whole_fails_the_write_if_nothing_was_written() -> None:
    table = Table(fails_at=(1, NotFound("no table", reason=Reason.TABLE_NOT_FOUND)))
    with pytest.raises(NotFound):
        await RowWriter(table.write, rows(30)).write()
    assert table.calls == 1


@pytest.mark.parametrize(
    ("error", "state"),
    [(RateLimited("wait"), RowState.NOT_ATTEMPTED), (Unavailable("away"), RowState.FAILED)],
)
async def test_a_failure_midway_tells_what_was_done(error: PyAirtableError, state: RowState) -> None:
    outcomes = await RowWriter(Table(fails_at=(3, error)).write, rows(40)).write()
    assert [outcome.state for outcome in outcomes] == (
        [RowState.CREATED] * 20 + [state] * 10 + [RowState.NOT_ATTEMPTED] * 10
    )
    assert all(outcome.error and outcome.error.reason == error.reason for outcome in outcomes[20:])


async def test_rows_of_an_earlier_run_are_left_alone() -> None:
    table, known = Table(), [Outcome(index, RowState.CREATED, "old") for index in range(5, 15)]
    outcomes = await RowWriter(table.write, rows(20), known).write()
    assert table.written == [*range(5), *range(15, 20)]
    assert [outcome.record_id for outcome in outcomes[5:15]] == ["old"] * 10
