"""What cells accept, with and without typecast."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_devkit.airtable.cells import Draft
from pyairtable_devkit.airtable.errors import ApiError
from pyairtable_devkit.airtable.model import Record

from .conftest import OTHER_USER, USER, Small

REFUSED = object()


def accept(small: Small, name: str, value: Any, *, typecast: bool = False, row: Record | None = None) -> Any:
    table = small.table("Projects")
    field = table.field(name)
    assert field is not None
    world = small.world
    draft = Draft(small.base, world.values(small.base), world.users, world.ids, typecast=typecast)
    return draft.accept(table, field, value, row)


def kind_of(error: ApiError) -> str:
    kind: str = error.body["error"]["type"]
    return kind


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("Name", 'Zoë\'s "x"', 'Zoë\'s "x"'),
        ("Name", "", None),
        ("Name", 5, REFUSED),
        ("Name", True, REFUSED),
        ("Budget", 5, 5),
        ("Budget", 5.0, 5),
        ("Budget", 5.25, 5.25),
        ("Budget", "5", REFUSED),
        ("Budget", True, REFUSED),
        ("Share", 0.123, 0.123),
        ("Length", 90, 90),
        ("Stars", 3, 3),
        ("Stars", 0, None),
        ("Stars", 6, REFUSED),
        ("Stars", 2.5, REFUSED),
        ("Done", True, True),
        ("Done", False, None),
        ("Done", "true", REFUSED),
        ("Status", "Open", "Open"),
        ("Tags", ["b", "a", "b"], ["b", "a"]),
        ("Tags", [], None),
        ("Tags", "a", REFUSED),
        ("Day", "2026-11-22", "2026-11-22"),
        ("Day", "22/11/2026", REFUSED),
        ("At", "2026-07-01T10:00:00.000Z", "2026-07-01T10:00:00.000Z"),
        ("At", "2026-07-01T10:00:00", "2026-07-01T09:00:00.000Z"),
        ("At", "2026-07-01T10:00:00+02:00", "2026-07-01T08:00:00.000Z"),
        ("At", "soon", REFUSED),
        ("Owner", {"id": USER}, USER),
        ("Owner", {"email": "ben@acme.example"}, OTHER_USER),
        ("Owner", {"id": "usrNobody00000000"}, REFUSED),
        ("Owner", "Ada", REFUSED),
        ("Team", [{"id": USER}, OTHER_USER], [USER, OTHER_USER]),
        ("Code", {"text": "123", "type": "ean8"}, {"text": "123", "type": "ean8"}),
        ("Code", {"type": "ean8"}, REFUSED),
        ("Code", "123", REFUSED),
        ("Files", [{"url": "ftp://x"}], REFUSED),
        ("Files", [{"id": "attUnknown0000000"}], REFUSED),
        ("Files", "http://x", REFUSED),
        ("Budget", None, None),
    ],
)
def test_values_without_typecast(small: Small, name: str, value: Any, kept: Any) -> None:
    if kept is REFUSED:
        with pytest.raises(ApiError) as caught:
            accept(small, name, value)
        assert kind_of(caught.value) == "INVALID_VALUE_FOR_COLUMN"
    else:
        assert accept(small, name, value) == kept


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("Name", 5, "5"),
        ("Name", 5.5, "5.5"),
        ("Name", True, "true"),
        ("Name", ["a", "b"], "a, b"),
        ("Budget", "1,234.50", 1234.5),
        ("Budget", "€ 12", 12),
        ("Budget", "-$3.5", -3.5),
        ("Budget", "(7)", -7),
        ("Budget", "", None),
        ("Budget", "many", REFUSED),
        ("Share", "12.5%", 0.125),
        ("Share", "0.5", 0.5),
        ("Length", "1:30", 5400),
        ("Length", "1:30:15", 5415),
        ("Stars", "4", 4),
        ("Done", "yes", True),
        ("Done", "no", None),
        ("Done", 1, True),
        ("Status", ["Open"], "Open"),
        ("Tags", "a, b", ["a", "b"]),
        ("Day", "22/11/2026", "2026-11-22"),
        ("Day", "November 5, 2026", "2026-11-05"),
        ("Day", "2026-11-22T23:30:00Z", "2026-11-22"),
        ("At", "2026-07-01 10:00", "2026-07-01T09:00:00.000Z"),
        ("Owner", "ben@acme.example", OTHER_USER),
        ("Owner", "ada", USER),
        ("Team", "Ada, Ben", [USER, OTHER_USER]),
        ("Code", 123, {"text": "123"}),
    ],
)
def test_values_with_typecast(small: Small, name: str, value: Any, kept: Any) -> None:
    if kept is REFUSED:
        with pytest.raises(ApiError):
            accept(small, name, value, typecast=True)
    else:
        assert accept(small, name, value, typecast=True) == kept


def test_an_unknown_choice_is_refused_or_drafted(small: Small) -> None:
    with pytest.raises(ApiError) as caught:
        accept(small, "Status", "New")
    assert caught.value.body["error"] == {
        "type": "INVALID_MULTIPLE_CHOICE_OPTIONS",
        "message": 'Insufficient permissions to create new select option ""New""',
    }
    assert accept(small, "Status", "New", typecast=True) == "New"


def test_links_by_id_by_text_and_wrong_ones(small: Small) -> None:
    entry = small.row("Hours", "H1").id
    assert accept(small, "Hours", [entry, entry]) == [entry]
    assert accept(small, "Hours", [{"id": entry}]) == [entry]
    assert accept(small, "Hours", "h1", typecast=True) == [entry]
    for value, kind in (
        (["H1"], "INVALID_RECORD_ID"),
        ([5], "INVALID_RECORD_ID"),
        (["recUnknown0000000"], "ROW_DOES_NOT_EXIST"),
        ("H1", "INVALID_VALUE_FOR_COLUMN"),
    ):
        with pytest.raises(ApiError) as caught:
            accept(small, "Hours", value)
        assert kind_of(caught.value) == kind


def test_typecast_sets_an_id_aside_for_a_row_that_does_not_exist(small: Small) -> None:
    table = small.table("Projects")
    field = table.field("Hours")
    assert field is not None
    world = small.world
    draft = Draft(small.base, world.values(small.base), world.users, world.ids, typecast=True)
    first = draft.accept(table, field, ["New entry"])
    assert draft.accept(table, field, "New entry") == first
    assert draft.new_rows == {(small.table("Hours").id, "New entry"): first[0]}


@pytest.mark.parametrize("name", ["Total", "Entries", "Who", "Left", "Number", "Changed", "Changed By"])
@pytest.mark.parametrize("typecast", [False, True])
def test_computed_fields_are_refused(small: Small, name: str, typecast: bool) -> None:
    with pytest.raises(ApiError) as caught:
        accept(small, name, "x", typecast=typecast)
    assert "because the field is computed" in caught.value.body["error"]["message"]


def test_a_record_id_that_does_not_exist_is_no_text(small: Small) -> None:
    with pytest.raises(ApiError, match="does not exist in this table"):
        accept(small, "Hours", ["recUnknown0000000"], typecast=True)


def test_an_attachment_is_kept_by_id(small: Small) -> None:
    row = small.row("Projects", "Alpha")
    files = small.field("Projects", "Files")
    old = {"id": "attOld00000000000", "filename": "a.txt", "size": 1, "type": "text/plain"}
    row.cells[files] = [old]
    kept = accept(small, "Files", [{"id": old["id"]}, {"url": "http://h/dir/b%20c.png"}], row=row)
    assert kept[0] == old
    assert kept[1]["filename"] == "b c.png"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
WORLD = Small()


@given(
    st.sampled_from([field.name for field in WORLD.table("Projects").fields.values()]),
    json_values,
    st.booleans(),
)
def test_any_json_is_kept_or_refused_and_never_crashes(name: str, value: Any, typecast: bool) -> None:
    try:
        kept = accept(WORLD, name, value, typecast=typecast)
    except ApiError as error:
        assert error.status == 422
    else:
        orjson.dumps(kept)
