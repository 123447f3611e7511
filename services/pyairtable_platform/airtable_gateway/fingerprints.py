"""Fingerprints of schemas: the same for the same schema, in whatever order Airtable tells it. Pure.

They change when a program that uses the base could notice: names, fields with their types and options, views. They do
not change with descriptions, colours, or the order of fields, choices and views.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from .wire import Json

LOOKS = frozenset({"color", "icon"})
"""Options that only people see."""


def table_fingerprint(table: Json) -> str:
    """SHA-256 over name, fields and views, 16 hexadecimal digits."""
    fields = [_kept(field, "id", "name", "type", "options") for field in table.get("fields", [])]
    views = [_kept(view, "id", "name", "type") for view in table.get("views", [])]
    return _digest({"id": table["id"], "name": table["name"], "fields": fields, "views": views})


def base_fingerprint(tables: Sequence[tuple[str, str]]) -> str:
    """SHA-256 over ids and fingerprints of tables, 16 hexadecimal digits."""
    return _digest([list(pair) for pair in tables])


def _kept(thing: Json, *names: str) -> Json:
    return {name: thing[name] for name in names if thing.get(name) is not None}


def _digest(value: Any) -> str:
    return hashlib.sha256(_canonical(value)).hexdigest()[:16]


def _canonical(value: Any) -> bytes:
    return orjson.dumps(_ordered(value), option=orjson.OPT_SORT_KEYS)


def _ordered(value: Any) -> Any:
    """Without looks, and with lists in an order of their own: Airtable promises none."""
    if isinstance(value, dict):
        return {str(key): _ordered(item) for key, item in value.items() if key not in LOOKS}
    if isinstance(value, list):
        return sorted((_ordered(item) for item in value), key=_canonical_key)
    return value


def _canonical_key(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
