"""Did a create happen that got no answer? Found out by looking at the records that were made since. Pure.

Airtable has no idempotency key, so the only witness is the table itself: records created since the call was sent whose
cells are what we sent. Rows that are equal to each other stand for each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from .rows import Row
from .wire import Json

CLOCK_TOLERANCE = timedelta(seconds=5)
"""How far our clock may be ahead of Airtable's."""

_RECORD_ID = re.compile(r"rec[A-Za-z0-9]{14}")
_NUMBERS = frozenset({"number", "percent", "currency", "duration", "rating"})
_OBJECT_LISTS = frozenset({"multipleAttachments", "multipleCollaborators"})


def since_formula(sent_at: datetime) -> str:
    """Records made since the call was sent, with some tolerance."""
    moment = (sent_at - CLOCK_TOLERANCE).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return f'IS_AFTER(CREATED_TIME(), DATETIME_PARSE("{moment}"))'


def is_made_since(record: Json, moment: datetime) -> bool:
    """Whether a record was created after a moment of our clock, with some tolerance."""
    created = _moment(record.get("createdTime"))
    return created is not None and created >= moment - CLOCK_TOLERANCE


def is_surely_made_since(record: Json, moment: datetime) -> bool:
    """Whether a record was created no earlier than the second of a moment: Airtable tells whole seconds."""
    created = _moment(record.get("createdTime"))
    return created is not None and created >= moment.replace(microsecond=0)


def by_name(record: Json, fields: Sequence[Json]) -> Json:
    """A record keyed by field id as one keyed by field name."""
    names = {field["id"]: field["name"] for field in fields}
    return record | {"fields": {names.get(key, key): value for key, value in record.get("fields", {}).items()}}


def field_types(fields: Sequence[Json]) -> dict[str, tuple[str, str]]:
    """Id and type of each field, by id and by name."""
    known = {field["name"]: (field["id"], field["type"]) for field in fields}
    return known | {field["id"]: (field["id"], field["type"]) for field in fields}


def match(
    rows: Sequence[Row], records: Sequence[Json], types: Mapping[str, tuple[str, str]], *, typecast: bool
) -> dict[int, Json]:
    """The record that each row became, by the row's index. Records are keyed by field id; each is used once."""
    found: dict[int, Json] = {}
    left = list(records)
    for row in rows:
        record = next((item for item in left if _is_made_from(item, row, types, typecast)), None)
        if record is not None:
            left.remove(record)
            found[row.index] = record
    return found


def _is_made_from(record: Json, row: Row, types: Mapping[str, tuple[str, str]], typecast: bool) -> bool:
    cells: Json = record.get("fields", {})
    for name, sent in row.fields.items():
        field_id, kind = types.get(name, (name, ""))
        if not same_cell(sent, cells.get(field_id), kind, typecast=typecast):
            return False
    return True


def same_cell(sent: Any, got: Any, kind: str, *, typecast: bool) -> bool:
    """Whether a cell that was sent like this may be returned like that."""
    if _is_empty(sent) or _is_empty(got):
        return _is_empty(sent) and _is_empty(got)
    if kind in _OBJECT_LISTS:  # links of attachments change, people are sent by address and come back by id
        return isinstance(sent, list) and isinstance(got, list) and len(sent) == len(got)
    if kind == "singleCollaborator":
        return isinstance(got, dict)
    if kind == "multipleRecordLinks":
        return _same_links(sent, got, typecast)
    if kind in _NUMBERS:
        return _same_number(sent, got, typecast)
    if kind in ("date", "dateTime"):
        return _same_moment(sent, got, typecast)
    if isinstance(sent, list) and isinstance(got, list):
        return sorted(map(str, sent)) == sorted(map(str, got))
    if isinstance(sent, str) and isinstance(got, str):
        return sent.strip() == got.strip()
    return bool(sent == got) or (typecast and str(sent) == str(got))


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value in ("", [])


def _same_links(sent: Any, got: Any, typecast: bool) -> bool:
    wanted = sent if isinstance(sent, list) else [sent]
    by_name = typecast and not all(isinstance(item, str) and _RECORD_ID.fullmatch(item) for item in wanted)
    if not isinstance(got, list):
        return False
    return len(wanted) == len(got) if by_name else set(map(str, wanted)) == set(map(str, got))


def _same_number(sent: Any, got: Any, typecast: bool) -> bool:
    try:
        return abs(float(sent) - float(got)) <= 1e-9 * max(1.0, abs(float(got)))
    except (TypeError, ValueError):
        return typecast  # "3 h" or "12 EUR": Airtable's reading of it is not ours to repeat


def _same_moment(sent: Any, got: Any, typecast: bool) -> bool:
    wanted, found = _moment(sent), _moment(got)
    if wanted is None or found is None:
        return typecast
    if wanted.tzinfo is None or found.tzinfo is None:
        return abs(wanted.replace(tzinfo=None) - found.replace(tzinfo=None)) <= timedelta(hours=14)
    return wanted == found


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
