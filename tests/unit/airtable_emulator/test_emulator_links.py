"""Both ends of links, and computed cells that follow them."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import OTHER_USER, SetClock, Small


def hours_of(small: Small, project: str) -> list[str]:
    linked = small.cells("Projects", project).get("Hours", [])
    return [str(small.table("Hours").records[key].cells[small.table("Hours").primary_id]) for key in linked]


def test_computed_cells_of_the_seed(small: Small) -> None:
    cells = small.cells("Projects", "Alpha")
    assert cells["Total"] == 5.5
    assert cells["Entries"] == 2
    assert cells["Who"] == ["H1", "H2"]
    assert cells["Left"] == 94.5
    assert cells["Number"] == 1
    assert small.cells("Projects", "Beta")["Left"] == 50


def test_a_changed_hour_reaches_rollup_and_formula(small: Small) -> None:
    small.cells("Projects", "Alpha")
    small.change().update(small.table("Hours"), small.row("Hours", "H1"), {small.field("Hours", "Spent"): 10})
    cells = small.cells("Projects", "Alpha")
    assert (cells["Total"], cells["Left"]) == (13.5, 86.5)


def test_moving_an_hour_changes_both_projects(small: Small) -> None:
    beta = small.row("Projects", "Beta")
    small.change().update(small.table("Hours"), small.row("Hours", "H1"), {small.field("Hours", "Project"): [beta.id]})
    assert hours_of(small, "Alpha") == ["H2"]
    assert hours_of(small, "Beta") == ["H1"]
    assert small.cells("Projects", "Beta")["Total"] == 2


def test_deleting_a_record_takes_it_out_of_every_link(small: Small) -> None:
    hours, first, third = small.table("Hours"), small.row("Hours", "H1"), small.row("Hours", "H3")
    small.change().update(hours, third, {small.field("Hours", "Next"): [first.id]})
    small.change().delete(hours, first)
    assert hours_of(small, "Alpha") == ["H2"]
    assert "Next" not in small.shown(hours, third)


def test_renaming_the_primary_reaches_lookups(small: Small) -> None:
    small.cells("Projects", "Alpha")
    small.change().update(small.table("Hours"), small.row("Hours", "H1"), {small.field("Hours", "Entry"): "New"})
    assert small.cells("Projects", "Alpha")["Who"] == ["New", "H2"]


def test_modification_times_and_authors(small: Small) -> None:
    clock = SetClock(datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
    small.world.clock = clock
    table, row = small.table("Projects"), small.row("Projects", "Alpha")
    small.change(OTHER_USER).update(table, row, {small.field("Projects", "Name"): "Alpha 2"})
    cells = small.cells("Projects", "Alpha 2")
    assert cells["Changed"] == "2026-11-22T12:00:00.000Z"
    assert cells["Changed By"]["name"] == "Ben"
    assert cells["Budget Changed"] < cells["Changed"]


def test_writing_the_same_value_changes_nothing(small: Small) -> None:
    table, row = small.table("Projects"), small.row("Projects", "Alpha")
    before = (row.revision, row.modified_time, table.revision)
    small.change().update(table, row, {small.field("Projects", "Name"): "Alpha"})
    assert (row.revision, row.modified_time, table.revision) == before


actions = st.lists(
    st.tuples(
        st.sampled_from(["from_project", "from_hours", "delete_hour", "create_hour"]),
        st.integers(0, 5),
        st.lists(st.integers(0, 5), max_size=3, unique=True),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(actions)
def test_links_agree_whatever_is_done(steps: list[tuple[str, int, list[int]]]) -> None:
    small = Small()
    projects, hours = small.table("Projects"), small.table("Hours")
    there, back = small.field("Projects", "Hours"), small.field("Hours", "Project")
    spent = small.field("Hours", "Spent")
    for action, which, targets in steps:
        _step(small, action, which, targets)
        for project in projects.records.values():
            linked = project.cells.get(there, [])
            assert all(project.id in hours.records[key].cells[back] for key in linked)
            total = sum(hours.records[key].cells.get(spent, 0) for key in linked)
            assert small.shown(projects, project)["Total"] == total
            assert small.shown(projects, project)["Entries"] == len(linked)
        for hour in hours.records.values():
            assert all(hour.id in projects.records[key].cells[there] for key in hour.cells.get(back, []))


def _step(small: Small, action: str, which: int, targets: list[int]) -> None:
    projects, hours = small.table("Projects"), small.table("Hours")

    def pick(table: Any, number: int) -> Any:
        rows = list(table.records.values())
        return rows[number % len(rows)] if rows else None

    change = small.change()
    if action == "create_hour":
        ids = list(dict.fromkeys(pick(projects, number).id for number in targets))
        cells = {small.field("Hours", "Spent"): which + 1, small.field("Hours", "Project"): ids}
        change.create(hours, cells)
    elif action == "delete_hour" and hours.records:
        change.delete(hours, pick(hours, which))
    elif action == "from_project" and hours.records:
        ids = list(dict.fromkeys(pick(hours, number).id for number in targets))
        change.update(projects, pick(projects, which), {small.field("Projects", "Hours"): ids or None})
    elif action == "from_hours" and hours.records:
        ids = list(dict.fromkeys(pick(projects, number).id for number in targets))
        change.update(hours, pick(hours, which), {small.field("Hours", "Project"): ids or None})
