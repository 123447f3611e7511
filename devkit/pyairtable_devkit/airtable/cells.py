"""What a cell accepts: the JSON of a write, checked by field type, in the form in which it is kept.

Rules without typecast (Airtable docs: field model, "Cell format" for writing). With typecast the
value first goes through `typecast`. Nothing is changed here: what a write would create besides the
cell (choices, rows by primary text) is gathered in a `Draft` and made when all rows are valid.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from pyairtable_devkit.airtable import errors, typecast
from pyairtable_devkit.airtable.clock import to_iso
from pyairtable_devkit.airtable.ids import IdFactory, is_id
from pyairtable_devkit.airtable.model import NUMBER_TYPES, TEXT_TYPES, Base, Field, Record, Table, User
from pyairtable_devkit.airtable.values import Values


class _Unacceptable(Exception):
    """The value does not fit; the caller knows the field to name."""


@dataclass
class Draft:
    """One write being checked: what it may look at, and what it will have to create."""

    base: Base
    values: Values
    users: dict[str, User]
    ids: IdFactory
    typecast: bool = False
    new_choices: list[tuple[Field, str]] = field(default_factory=list)
    new_rows: dict[tuple[str, str], str] = field(default_factory=dict)
    """Record ids set aside for rows that typecast creates, by table id and primary text."""

    def accept(self, table: Table, target: Field, value: Any, row: Record | None = None) -> Any:
        """The value as kept in the cell, None to clear it; ApiError when the field cannot hold it."""
        if target.is_computed:
            raise errors.computed_value(target.name)
        if value is None:
            return None
        if self.typecast:
            value = typecast.convert(target, value, self.users)
            if value is None:
                return None
        check = _CHECKS.get(target.type)
        if check is None:
            raise errors.invalid_value(target.name)
        try:
            return check(self, target, value, row)
        except _Unacceptable:
            raise errors.invalid_value(target.name) from None

    def choice(self, target: Field, name: str) -> str:
        """An existing choice; with typecast one that will be added."""
        known = {choice["name"] for choice in target.option("choices") or ()}
        if name in known or (target, name) in self.new_choices:
            return name
        if not self.typecast or not name:
            raise errors.unknown_choice(name)
        self.new_choices.append((target, name))
        return name

    def linked_row(self, target: Field, item: str) -> str:
        """The id of a linked record, given by id or, with typecast, by its primary text."""
        other = self.base.tables[target.option("linkedTableId")]
        if is_id(item, "rec"):
            if item not in other.records:
                raise errors.row_does_not_exist(item)
            return item
        if not self.typecast:
            raise errors.invalid_record_id(item)
        return self._row_by_text(other, item, target)

    def _row_by_text(self, other: Table, text: str, target: Field) -> str:
        wanted = text.strip().casefold()
        for row in other.records.values():
            if self.values.primary_text(other, row).strip().casefold() == wanted:
                return row.id
        if other.primary.type not in TEXT_TYPES:
            raise errors.invalid_value(target.name)
        return self.new_rows.setdefault((other.id, text.strip()), self.ids.new("rec"))


def _text(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if not isinstance(value, str):
        raise _Unacceptable
    return value or None


def _number(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _Unacceptable
    # Airtable keeps numbers as JavaScript does: 5.0 comes back as 5.
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _rating(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= (target.option("max") or 5):
        raise _Unacceptable
    return value or None


def _checkbox(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if not isinstance(value, bool):
        raise _Unacceptable
    return value or None


def _single_select(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if isinstance(value, dict):
        value = _choice_name(target, value)
    if not isinstance(value, str):
        raise _Unacceptable
    return draft.choice(target, value)


def _multiple_selects(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if not isinstance(value, list):
        raise _Unacceptable
    names = []
    for item in value:
        name = _choice_name(target, item) if isinstance(item, dict) else item
        if not isinstance(name, str):
            raise _Unacceptable
        names.append(draft.choice(target, name))
    return list(dict.fromkeys(names)) or None


def _choice_name(target: Field, item: dict[str, Any]) -> Any:
    """The name of a choice given as an object with id or name."""
    if "id" in item:
        return next((choice["name"] for choice in target.option("choices") if choice["id"] == item["id"]), None)
    return item.get("name")


def _date(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if not isinstance(value, str):
        raise _Unacceptable
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return _moment(value, target).date().isoformat()


def _date_time(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if not isinstance(value, str):
        raise _Unacceptable
    return to_iso(_moment(value, target))


def _moment(text: str, target: Field) -> datetime:
    """A moment in ISO form; without zone it is read in the field's zone unless that is utc or client."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            zone = target.option("timeZone") or "utc"
            moment = moment.replace(tzinfo=UTC if zone in ("utc", "client") else ZoneInfo(zone))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Unacceptable from None


def _collaborator(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if not isinstance(value, dict):
        raise _Unacceptable
    for user in draft.users.values():
        if user.id == value.get("id") or (value.get("email") and user.email == value["email"]):
            return user.id
    raise _Unacceptable


def _collaborators(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if not isinstance(value, list):
        raise _Unacceptable
    people = [{"id": item} if isinstance(item, str) else item for item in value]
    return list(dict.fromkeys(_collaborator(draft, target, item, row) for item in people)) or None


def _links(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if not isinstance(value, list):
        raise _Unacceptable
    ids = [item.get("id") if isinstance(item, dict) else item for item in value]
    linked = []
    for item in ids:
        if not isinstance(item, str):
            raise errors.invalid_record_id(item)
        linked.append(draft.linked_row(target, item))
    return list(dict.fromkeys(linked)) or None


def _attachments(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if not isinstance(value, list):
        raise _Unacceptable
    return [_attachment(draft, target, item, row) for item in value] or None


def _attachment(draft: Draft, target: Field, item: Any, row: Record | None) -> dict[str, Any]:
    """An item kept by id, or a new one that is to be fetched from its URL."""
    if not isinstance(item, dict):
        raise _Unacceptable
    if "id" in item:
        kept = row.cells.get(target.id, ()) if row is not None else ()
        found: dict[str, Any] | None = next((old for old in kept if old["id"] == item["id"]), None)
        if found is None:
            raise _Unacceptable
        return found
    url = item.get("url")
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        raise _Unacceptable
    name = item.get("filename") or unquote(urlsplit(url).path.rsplit("/", 1)[-1]) or "attachment"
    if not isinstance(name, str):
        raise _Unacceptable
    return {"id": draft.ids.new("att"), "filename": name, "url": url}


def _barcode(draft: Draft, target: Field, value: Any, row: Record | None) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise _Unacceptable
    if set(value) - {"text", "type"} or not isinstance(value.get("type") or "", str):
        raise _Unacceptable
    return {key: item for key, item in value.items() if item}


_Check = Callable[[Draft, Field, Any, Record | None], Any]
_CHECKS: dict[str, _Check] = {
    **dict.fromkeys(TEXT_TYPES, _text),
    **dict.fromkeys(NUMBER_TYPES, _number),
    "rating": _rating,
    "checkbox": _checkbox,
    "singleSelect": _single_select,
    "multipleSelects": _multiple_selects,
    "date": _date,
    "dateTime": _date_time,
    "singleCollaborator": _collaborator,
    "multipleCollaborators": _collaborators,
    "multipleRecordLinks": _links,
    "multipleAttachments": _attachments,
    "barcode": _barcode,
}
