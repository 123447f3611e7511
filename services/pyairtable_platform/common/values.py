"""Free Airtable values between Python and protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf import struct_pb2, timestamp_pb2

EXACT = 2**53
"""Whole numbers above this are not exact as doubles, and JSON writers refuse huge ones as integers."""


def struct_to_dict(struct: struct_pb2.Struct) -> dict[str, Any]:
    """A Struct as plain values; whole numbers become int, because 5.0 is not what the caller wrote."""
    return {key: value_to_plain(value) for key, value in struct.fields.items()}


def value_to_plain(value: struct_pb2.Value) -> Any:
    """A Value as None, bool, int, float, str, list or dict."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= EXACT else number
    if kind == "struct_value":
        return struct_to_dict(value.struct_value)
    if kind == "list_value":
        return [value_to_plain(item) for item in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


def dict_to_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Plain values as a Struct."""
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


def to_timestamp(moment: datetime) -> timestamp_pb2.Timestamp:
    """An aware datetime as a Timestamp."""
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp


def from_timestamp(stamp: timestamp_pb2.Timestamp) -> datetime:
    """A Timestamp as an aware datetime (UTC)."""
    return stamp.ToDatetime(tzinfo=UTC)
