"""Which tables differ, and when usage is worth a write."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_operator.drift import Drift, Table, accepts, compare_tables, read_tables, show_tables
from pyairtable_operator.usage import Usage, coarse, crossed, threshold

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CLIENTS, JOBS = Table("tbl1", "Clients", "f1"), Table("tbl2", "Jobs", "f2")

tables = st.lists(
    st.builds(Table, st.sampled_from(["tbl1", "tbl2", "tbl3"]), st.sampled_from("ABC"), st.sampled_from("xyz")),
    unique_by=lambda table: table.id,
)


@pytest.mark.parametrize(
    ("seen", "drift", "said"),
    [
        ([CLIENTS, JOBS], Drift(), ""),
        ([JOBS, CLIENTS], Drift(), ""),
        ([CLIENTS], Drift(removed=("Jobs",)), 'removed "Jobs"'),
        ([CLIENTS, JOBS, Table("tbl3", "New", "f")], Drift(added=("New",)), 'added "New"'),
        ([CLIENTS, Table("tbl2", "Jobs", "f9")], Drift(changed=("Jobs",)), 'changed "Jobs"'),
        ([CLIENTS, Table("tbl2", "Work", "f9")], Drift(renamed=(("Jobs", "Work"),)), '"Jobs" is now "Work"'),
        ([Table("tbl1", "Jobs", "a"), Table("tbl2", "Clients", "b")],
         Drift(renamed=(("Clients", "Jobs"), ("Jobs", "Clients"))), '"Clients" is now "Jobs"; "Jobs" is now "Clients"'),
    ],
)  # fmt: skip
def test_drift_names_the_tables(seen: list[Table], drift: Drift, said: str) -> None:
    found = compare_tables([CLIENTS, JOBS], seen)
    assert found == drift
    assert str(found) == said
    assert bool(found) is (said != "")


@given(tables, tables)
def test_there_is_drift_exactly_when_tables_differ(one: list[Table], other: list[Table]) -> None:
    found = compare_tables(one, other)
    assert bool(found) == (set(one) != set(other))
    assert not set(found.tables) - {table.name for table in [*one, *other]}
    assert compare_tables(read_tables(show_tables(one)), one) == Drift()
    assert show_tables(one) == show_tables(reversed(one))


@pytest.mark.parametrize(
    ("note", "accepted"), [("true", True), ("F2", True), ("F1", False), ("", False), ("True", False), ("F2 ", False)]
)
def test_a_schema_is_accepted_by_name(note: str, accepted: bool) -> None:
    assert accepts(note, "F2") is accepted
    assert not accepts("", "")


@pytest.mark.parametrize(
    ("percent", "reached"), [(None, 0), (0, 0), (49, 0), (50, 50), (79, 50), (80, 80), (95, 95), (100, 100), (250, 100)]
)
def test_thresholds(percent: int | None, reached: int) -> None:
    assert threshold(percent) == reached


SHOWN = {"month": "2026-11", "calls": 400, "percent": 40}


@pytest.mark.parametrize(
    ("calls", "month", "budget", "minutes", "written"),
    [
        (401, "2026-11", 1000, 59, False),
        (499, "2026-11", 1000, 59, False),
        (500, "2026-11", 1000, 1, True),
        (401, "2026-11", 1000, 60, True),
        (401, "2026-11", 1000, -1, True),
        (401, "2026-11", 1000, None, True),
        (1, "2026-12", 1000, 1, True),
        (400, "2026-11", 500, 1, True),
        (400, "2026-11", 0, 1, True),
    ],
)
def test_usage_is_written_at_thresholds_and_hourly(
    calls: int, month: str, budget: int, minutes: int | None, written: bool
) -> None:
    at = None if minutes is None else NOW - timedelta(minutes=minutes)
    assert (coarse(Usage(month, calls, budget), SHOWN, at, NOW) != SHOWN) is written


@given(st.integers(0, 3000), st.sampled_from([0, 7, 1000]), st.integers(0, 59))
def test_usage_that_was_just_written_is_not_written_again(calls: int, budget: int, minutes: int) -> None:
    usage = Usage("2026-11", calls, budget)
    first = coarse(usage, None, None, NOW)
    assert coarse(usage, first, None, NOW) == first
    assert coarse(usage, first, NOW, NOW + timedelta(minutes=minutes)) == first
    assert coarse(None, first, NOW, NOW) == first


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [(None, 40, 0), (None, 80, 80), (40, 50, 50), (50, 96, 95), (96, 50, 0), (50, 50, 0), (100, 300, 0)],
)
def test_an_event_is_due_when_a_threshold_is_crossed_upwards(before: int | None, after: int, told: int) -> None:
    previous: dict[str, Any] | None = None if before is None else {"month": "2026-11", "calls": 1, "percent": before}
    assert crossed({"month": "2026-11", "calls": 2, "percent": after}, previous) == told
