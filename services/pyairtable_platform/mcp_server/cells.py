"""Cells by field type: which are computed, what kind of value they hold, and how they read as text.

Cell shapes: Airtable docs, "Field types and cell values".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from .model import Field

Kind = Literal[
    "text",
    "number",
    "checkbox",
    "date",
    "date_time",
    "select",
    "selects",
    "links",
    "attachments",
    "collaborator",
    "collaborators",
    "barcode",
    "button",
    "ai_text",
    "list",
    "other",
]

COMPUTED_TYPES = frozenset(
    {
        "aiText",
        "autoNumber",
        "button",
        "count",
        "createdBy",
        "createdTime",
        "externalSyncSource",
        "formula",
        "lastModifiedBy",
        "lastModifiedTime",
        "multipleLookupValues",
        "rollup",
    }
)
"""Types that Airtable refuses to write."""

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("singleLineText", "multilineText", "richText", "email", "url", "phoneNumber"), "text"),
    **dict.fromkeys(("number", "percent", "currency", "duration", "rating", "autoNumber", "count"), "number"),
    "checkbox": "checkbox",
    "date": "date",
    **dict.fromkeys(("dateTime", "createdTime", "lastModifiedTime"), "date_time"),
    **dict.fromkeys(("singleSelect", "externalSyncSource"), "select"),
    "multipleSelects": "selects",
    "multipleRecordLinks": "links",
    "multipleAttachments": "attachments",
    **dict.fromkeys(("singleCollaborator", "createdBy", "lastModifiedBy"), "collaborator"),
    "multipleCollaborators": "collaborators",
    "multipleLookupValues": "list",
    "barcode": "barcode",
    "button": "button",
    "aiText": "ai_text",
}


def is_computed(field: Field) -> bool:
    """True for a field that nobody can write."""
    return field.type in COMPUTED_TYPES


def kind_of(field: Field) -> Kind:
    """What a cell of the field holds; for formulas and roll-ups, what their result is."""
    if field.type in ("formula", "rollup"):
        result = field.options.get("result")
        inner = result.get("type", "") if isinstance(result, Mapping) else ""
        return _KINDS.get(str(inner), "other")
    return _KINDS.get(field.type, "other")


def is_empty(value: Any) -> bool:
    """True for what Airtable leaves out of a record: null, empty text, empty list, false."""
    return value is None or value is False or value in ("", [], {})


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def text(value: Any) -> str:
    """A cell as people read it: names of collaborators, file names of attachments, lists joined by a comma."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(text(item) for item in value)
    if isinstance(value, Mapping):
        return _object_text(value)
    return str(value)


def _object_text(value: Mapping[str, Any]) -> str:
    # Attachment, collaborator or choice, barcode, button, aiText, error of a formula: the first that is there.
    for key in ("filename", "name", "email", "text", "label", "value", "error", "specialValue"):
        if isinstance(value.get(key), str):
            return str(value[key])
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
