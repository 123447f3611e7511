"""Making fields: what each type's options must be, and the inverse side of a link.

Creation through the API and seeds share it; the API refuses computed types (many public reports of
UNSUPPORTED_FIELD_TYPE_FOR_CREATE), a seed may define them.
"""

from typing import Any

from pyairtable_devkit.airtable import errors
from pyairtable_devkit.airtable.ids import IdFactory
from pyairtable_devkit.airtable.model import (
    COMPUTED_TYPES,
    DATE_TYPES,
    NUMBER_TYPES,
    SELECT_TYPES,
    TEXT_TYPES,
    Base,
    Field,
    Table,
)
from pyairtable_devkit.airtable.store import COLORS, add_choice

PLAIN_TYPES = TEXT_TYPES | {"singleCollaborator", "multipleCollaborators", "multipleAttachments", "barcode"}
CREATABLE_TYPES = PLAIN_TYPES | NUMBER_TYPES | SELECT_TYPES | DATE_TYPES | {"rating", "checkbox", "multipleRecordLinks"}
FIELD_TYPES = CREATABLE_TYPES | COMPUTED_TYPES
PRIMARY_TYPES = (TEXT_TYPES - {"richText"}) | NUMBER_TYPES | DATE_TYPES | {"barcode", "formula", "autoNumber"}

SELECT_COLORS = frozenset(COLORS)
_BRIGHT = frozenset(color for color in COLORS if color.endswith("Bright"))
_RATING_ICONS = frozenset(["star", "heart", "thumbsUp", "flag", "dot"])
_CHECKBOX_ICONS = frozenset(["check", "xCheckbox", "star", "heart", "thumbsUp", "flag", "dot"])
_DURATIONS = frozenset(["h:mm", "h:mm:ss", "h:mm:ss.S", "h:mm:ss.SS", "h:mm:ss.SSS"])
DATE_FORMATS = {
    "local": "l",
    "friendly": "LL",
    "us": "M/D/YYYY",
    "european": "D/M/YYYY",
    "iso": "YYYY-MM-DD",
}
TIME_FORMATS = {"12hour": "h:mma", "24hour": "HH:mm"}
MAX_DESCRIPTION = 20_000


def refuse_options(kind: str, reason: str) -> errors.ApiError:
    """The refusal for options that do not fit the type."""
    return errors.typed(422, "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE", f"Invalid options for {kind}: {reason}")


def refuse_type(kind: str) -> errors.ApiError:
    """The refusal for types that only Airtable's own interface can create."""
    message = f"Creating {kind} fields is not supported at this time"
    return errors.typed(422, "UNSUPPORTED_FIELD_TYPE_FOR_CREATE", message)


def make_field(field_id: str, name: str, kind: str, options: Any, description: str | None = None) -> Field:
    """A field with checked options; for links only their shape, for computed types nothing is checked."""
    made = Field(field_id, name, kind, None, description)
    if options is not None and not isinstance(options, dict):
        raise errors.bad_request()
    if kind in PLAIN_TYPES:
        if options:
            raise refuse_options(kind, "this type takes none")
        if kind == "multipleAttachments":
            made.options = {"isReversed": False}
        return made
    given: dict[str, Any] = options or {}
    if kind in ("singleSelect", "multipleSelects"):
        _choices(made, given)
    elif kind in _OPTION_MAKERS:
        made.options = _OPTION_MAKERS[kind](kind, given)
    else:
        made.options = dict(given) or None
    return made


def _choices(made: Field, given: dict[str, Any]) -> None:
    choices = given.get("choices")
    if not isinstance(choices, list):
        raise refuse_options(made.type, "choices must be an array")
    made.options = {"choices": []}
    for choice in choices:
        name = choice.get("name") if isinstance(choice, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise refuse_options(made.type, "each choice needs a name")
        if name in {known["name"] for known in made.options["choices"]}:
            raise refuse_options(made.type, f"choice {name} is given twice")
        color = choice.get("color")
        if color is not None and color not in SELECT_COLORS:
            raise refuse_options(made.type, f"there is no color {color}")
        add_choice(made, name, color)


def _number(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    top = 7 if kind == "currency" else 8
    precision = given.get("precision")
    if not isinstance(precision, int) or isinstance(precision, bool) or not 0 <= precision <= top:
        raise refuse_options(kind, f"precision must be a whole number from 0 to {top}")
    if kind != "currency":
        return {"precision": precision}
    if not isinstance(given.get("symbol"), str):
        raise refuse_options(kind, "symbol must be text")
    return {"precision": precision, "symbol": given["symbol"]}


def _duration(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    return {"durationFormat": _one_of(kind, given, "durationFormat", _DURATIONS)}


def _rating(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    top = given.get("max")
    if not isinstance(top, int) or isinstance(top, bool) or not 1 <= top <= 10:
        raise refuse_options(kind, "max must be a whole number from 1 to 10")
    icon = _one_of(kind, given, "icon", _RATING_ICONS)
    return {"icon": icon, "max": top, "color": _one_of(kind, given, "color", _BRIGHT)}


def _checkbox(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    icon = _one_of(kind, given, "icon", _CHECKBOX_ICONS)
    return {"icon": icon, "color": _one_of(kind, given, "color", _BRIGHT)}


def _date(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    return {"dateFormat": _named_format(kind, given, "dateFormat", DATE_FORMATS)}


def _date_time(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(given.get("timeZone"), str):
        raise refuse_options(kind, "timeZone must be text")
    return {
        "dateFormat": _named_format(kind, given, "dateFormat", DATE_FORMATS),
        "timeFormat": _named_format(kind, given, "timeFormat", TIME_FORMATS),
        "timeZone": given["timeZone"],
    }


def _link(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(given.get("linkedTableId"), str):
        raise refuse_options(kind, "linkedTableId must be a table id")
    known = ("linkedTableId", "viewIdForRecordSelection", "prefersSingleRecordLink")
    options = {"isReversed": False, "prefersSingleRecordLink": False}
    return options | {key: given[key] for key in known if key in given}


_OPTION_MAKERS = {
    "number": _number,
    "percent": _number,
    "currency": _number,
    "duration": _duration,
    "rating": _rating,
    "checkbox": _checkbox,
    "date": _date,
    "dateTime": _date_time,
    "multipleRecordLinks": _link,
}


def _one_of(kind: str, given: dict[str, Any], name: str, allowed: frozenset[str]) -> str:
    value = given.get(name)
    if value not in allowed:
        raise refuse_options(kind, f"{name} must be one of {', '.join(sorted(allowed))}")
    return str(value)


def _named_format(kind: str, given: dict[str, Any], name: str, allowed: dict[str, str]) -> dict[str, str]:
    value = given.get(name)
    chosen = value.get("name") if isinstance(value, dict) else None
    if chosen not in allowed:
        raise refuse_options(kind, f"{name}.name must be one of {', '.join(sorted(allowed))}")
    return {"name": chosen, "format": allowed[chosen]}


def connect(base: Base, table: Table, link: Field, ids: IdFactory) -> Field | None:
    """Gives a new link field its inverse in the other table, as Airtable does; None within one table."""
    assert link.options is not None
    other = base.tables.get(link.options["linkedTableId"])
    if other is None:
        raise refuse_options(link.type, "linkedTableId must be a table of this base")
    if other is table:
        return None
    inverse = Field(
        ids.new("fld"),
        free_name(other, table.name),
        link.type,
        {
            "isReversed": True,
            "prefersSingleRecordLink": False,
            "linkedTableId": table.id,
            "inverseLinkFieldId": link.id,
        },
    )
    link.options["inverseLinkFieldId"] = inverse.id
    other.fields[inverse.id] = inverse
    return inverse


def free_name(table: Table, wanted: str) -> str:
    """The wanted field name, with a number when the table already has it."""
    taken = {field.name.casefold() for field in table.fields.values()}
    name, number = wanted, 1
    while name.casefold() in taken:
        number += 1
        name = f"{wanted} {number}"
    return name
