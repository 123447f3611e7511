"""Best-effort conversion of written values (Airtable docs: typecast), mostly from strings.

A value that cannot be converted is given back as it is, so that the ordinary check refuses it.
"""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import parser as date_parser

from pyairtable_devkit.airtable.clock import to_iso
from pyairtable_devkit.airtable.formatting import plain_number
from pyairtable_devkit.airtable.model import Field, User

_NUMBER = re.compile(r"\(?-?[^\d\-.()]*-?(\d[\d,]*\.?\d*|\.\d+)\)?\s*%?\s*\Z")
_TRUE_WORDS = frozenset({"true", "yes", "1", "checked", "x", "on", "y", "t"})


def convert(field: Field, value: Any, users: dict[str, User]) -> Any:
    """The value in the JSON type that the field expects, where that can be guessed; None for an empty one."""
    if value == "" and field.type != "singleSelect":
        return None
    kind = field.type
    if kind in ("singleLineText", "multilineText", "richText", "email", "url", "phoneNumber"):
        return _to_text(value)
    if kind in ("number", "currency", "percent", "rating"):
        return _to_number(value, kind) if isinstance(value, str) else value
    if kind == "duration":
        return _to_seconds(value) if isinstance(value, str) else value
    if kind == "checkbox":
        return _to_bool(value)
    if kind == "singleSelect":
        return _to_choice(value)
    if kind in ("multipleSelects", "multipleRecordLinks"):
        return _to_list(value)
    if kind in ("date", "dateTime"):
        return _to_date(field, value) if isinstance(value, str) else value
    if kind == "barcode":
        return {"text": _to_text(value)} if isinstance(value, str | int | float) else value
    return _to_people(kind, value, users)


def _to_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return plain_number(value)
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(str(_to_text(item)) for item in value)
    return value


def _to_number(text: str, kind: str) -> Any:
    """A number out of text such as "1,234.50", "$12", "(3)" or, for percent fields, "12.5%"."""
    stripped = text.strip()
    match = _NUMBER.match(stripped)
    if match is None:
        return text
    number = float(match[1].replace(",", ""))
    if "-" in stripped or (stripped.startswith("(") and stripped.endswith(")")):
        number = -number
    if kind == "percent" and stripped.endswith("%"):
        number = round(number / 100, 12)
    return int(number) if number.is_integer() else number


def _to_seconds(text: str) -> Any:
    """Seconds out of h:mm or h:mm:ss; a bare number is taken as seconds."""
    parts = text.strip().split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return text
    if len(numbers) == 1:
        seconds = numbers[0]
    else:
        hours, minutes, rest = [*numbers, 0.0][:3]
        seconds = hours * 3600 + minutes * 60 + rest
    return int(seconds) if seconds.is_integer() else seconds


def _to_bool(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip().lower() in _TRUE_WORDS
    return bool(value) if isinstance(value, int | float) else value


def _to_choice(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    text = _to_text(value)
    if isinstance(text, str):
        return text.strip() or None
    return value


def _to_list(value: Any) -> Any:
    """A list of texts; one string is cut at its commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list):
        return [_to_text(item) for item in value]
    return [_to_text(value)] if isinstance(value, int | float) else value


def _to_date(field: Field, text: str) -> Any:
    """A date in common notations; day first when the field's format is European."""
    form = (field.option("dateFormat") or {}).get("name")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = date_parser.parse(text, dayfirst=form == "european")
        except (ValueError, OverflowError):
            return text
    if field.type == "date":
        return moment.date().isoformat()
    if moment.tzinfo is None:
        zone = field.option("timeZone") or "utc"
        moment = moment.replace(tzinfo=UTC if zone in ("utc", "client") else ZoneInfo(zone))
    return to_iso(moment)


def _to_people(kind: str, value: Any, users: dict[str, User]) -> Any:
    """Collaborators given by id, e-mail address or name."""
    if kind == "singleCollaborator" and isinstance(value, str):
        return _person(value, users)
    if kind == "multipleCollaborators":
        items = value.split(",") if isinstance(value, str) else value
        if isinstance(items, list):
            return [_person(item, users) if isinstance(item, str) else item for item in items]
    return value


def _person(text: str, users: dict[str, User]) -> dict[str, str]:
    wanted = text.strip()
    for user in users.values():
        if wanted in (user.id, user.email) or wanted.casefold() == user.name.casefold():
            return {"id": user.id}
    return {"id": wanted}
