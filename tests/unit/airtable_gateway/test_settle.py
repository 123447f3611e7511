"""Was it created? Cells that were sent against cells that came back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pyairtable_platform.airtable_gateway import settle
from pyairtable_platform.airtable_gateway.rows import Row

FIELDS = [
    {"id": "fldName0000000000", "name": "Name", "type": "singleLineText"},
    {"id": "fldSize0000000000", "name": "Size", "type": "number"},
]
TYPES = settle.field_types(FIELDS)
LINK, OTHER = "recAAAAAAAAAAAAAA", "recBBBBBBBBBBBBBB"


def record(record_id: str, name: str, size: Any = None) -> dict[str, Any]:
    return {"id": record_id, "fields": {"fldName0000000000": name, "fldSize0000000000": size}}


def test_rows_find_their_records_by_name_or_id_and_each_record_serves_once() -> None:
    rows = [
        Row(0, fields={"Name": "a", "Size": 1}),
        Row(1, fields={"fldName0000000000": "b"}),
        Row(2, fields={"Name": "a", "Size": 1}),
        Row(3, fields={"Name": "a", "Size": 1}),
    ]
    found = settle.match(rows, [record("rec1", "b"), record("rec2", "a", 1), record("rec3", "a", 1.0)], TYPES,
                         typecast=False)  # fmt: skip
    assert {index: match["id"] for index, match in found.items()} == {0: "rec2", 1: "rec1", 2: "rec3"}


@pytest.mark.parametrize(
    ("sent", "got", "kind", "same"),
    [
        ("x ", "x", "singleLineText", True),
        ("x", "y", "singleLineText", False),
        ("", None, "singleLineText", True),
        (False, None, "checkbox", True),
        (True, None, "checkbox", False),
        ([], None, "multipleSelects", True),
        (["b", "a"], ["a", "b"], "multipleSelects", True),
        (["a"], ["a", "b"], "multipleSelects", False),
        (0.1 + 0.2, 0.3, "number", True),
        (1, 2, "currency", False),
        (0, 0, "number", True),
        ("2026-01-02", "2026-01-02", "date", True),
        ("2026-01-02", "2026-01-03", "date", False),
        ("2026-01-02T10:00:00Z", "2026-01-02T10:00:00.000Z", "dateTime", True),
        ("2026-01-02T10:00:00+02:00", "2026-01-02T08:00:00.000Z", "dateTime", True),
        ("2026-01-02T10:00:00Z", "2026-01-02T11:00:00.000Z", "dateTime", False),
        ([LINK, OTHER], [OTHER, LINK], "multipleRecordLinks", True),
        ([LINK], [OTHER], "multipleRecordLinks", False),
        ([{"url": "http://x"}], [{"id": "att1", "url": "http://y"}], "multipleAttachments", True),
        ([{"url": "http://x"}], None, "multipleAttachments", False),
        ({"email": "a@x"}, {"id": "usr1", "email": "a@x"}, "singleCollaborator", True),
        ("x", "x", "a type of tomorrow", True),
    ],
)
def test_cells(sent: Any, got: Any, kind: str, same: bool) -> None:
    assert settle.same_cell(sent, got, kind, typecast=False) is same


@pytest.mark.parametrize(
    ("sent", "got", "kind"),
    [
        ("3 h", 10800, "duration"),
        ("12", 12, "number"),
        ("Anna", [LINK], "multipleRecordLinks"),
        (5, "5", "singleLineText"),
        ("next week", "2026-11-29", "date"),
    ],
)
def test_typecast_lets_airtable_read_text_its_own_way(sent: Any, got: Any, kind: str) -> None:
    assert settle.same_cell(sent, got, kind, typecast=True)
    assert not settle.same_cell(sent, got, kind, typecast=False) or kind == "number"


def test_the_formula_looks_a_little_before_the_call_was_sent() -> None:
    sent_at = datetime(2026, 11, 22, 10, 0, 3, tzinfo=UTC)
    assert settle.since_formula(sent_at) == ('IS_AFTER(CREATED_TIME(), DATETIME_PARSE("2026-11-22T09:59:58.000Z"))')
    assert settle.is_made_since({"createdTime": "2026-11-22T09:59:59.000Z"}, sent_at)
    assert not settle.is_made_since({"createdTime": "2026-11-22T09:00:00.000Z"}, sent_at)


def test_a_found_record_is_given_back_by_name() -> None:
    assert settle.by_name(record("rec1", "a", 1), FIELDS)["fields"] == {"Name": "a", "Size": 1}
