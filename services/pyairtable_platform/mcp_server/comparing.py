"""When two cells hold the same: for duplicates. Pure."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from .cells import is_empty, is_number, kind_of
from .model import Field

Key = Any
"""Hashable, equal for cells that hold the same; None for empty ones."""


def cell_key(value: Any, field: Field) -> Key:
    """What a cell is compared by: text trimmed and without case, lists without order, attachments by name and size.

    A number equals itself in any spelling (5 and 5.0), people are compared by id, bar codes by their text.
    """
    if is_empty(value):
        return None
    if isinstance(value, list):
        keys = [_item_key(item, field) for item in value]
        return ("list", *sorted((key for key in keys if key is not None), key=repr)) if any_filled(keys) else None
    return _item_key(value, field)


def any_filled(keys: list[Key]) -> bool:
    return any(key is not None for key in keys)


def _item_key(value: Any, field: Field) -> Key:
    if isinstance(value, bool):
        return value
    if is_number(value):
        return float(value)
    if isinstance(value, str):
        return _text_key(value)
    if isinstance(value, Mapping):
        return _object_key(value, field)
    if isinstance(value, list):
        return ("list", *sorted((_item_key(item, field) for item in value), key=repr))
    return None


def _text_key(value: str) -> Key:
    # NFC: the same accented letter may be written as one character or as two.
    return unicodedata.normalize("NFC", value).strip().casefold() or None


def _object_key(value: Mapping[str, Any], field: Field) -> Key:
    kind = kind_of(field)
    if kind == "attachments" or "filename" in value:
        # The same file uploaded twice has two ids and two links.
        return ("file", _text_key(str(value.get("filename", ""))), value.get("size"), value.get("type"))
    if kind == "barcode":
        return ("barcode", _text_key(str(value.get("text", ""))))
    if isinstance(value.get("id"), str):
        return ("id", value["id"])
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
