"""The request rules of the contract (buf.validate options), checked before a servicer sees the message."""

from __future__ import annotations

import functools
from typing import Any

import protovalidate
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from .errors import FieldViolation, InvalidInput, Reason

MOST_TOLD = 10
"""Errors travel in gRPC's trailers, which peers take up to 8 KiB."""

_FREE_VALUES = frozenset({"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"})


def validate(request: Message) -> None:
    """Raise InvalidInput that names every field which breaks its rule."""
    checked = without_free_values(request) if holds_free_values(request.DESCRIPTOR) else request
    found = protovalidate.collect_violations(checked)
    if not found:
        return
    violations = [FieldViolation(path_text(item.proto.field), item.proto.message) for item in found[:MOST_TOLD]]
    text = "; ".join(f"{item.field}: {item.description}" for item in violations[:5])
    raise InvalidInput(text, violations=violations, reason=Reason.INVALID_INPUT)


def without_free_values(message: Any) -> Any:
    """A copy without Struct contents: they have no rules, and the validator's cost grows with every byte."""
    copy = type(message)()
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            copy_field(copy, field, value)
        elif field.message_type.full_name in _FREE_VALUES:
            continue
        elif field.is_repeated:
            getattr(copy, field.name).extend(without_free_values(item) for item in value)
        else:
            getattr(copy, field.name).CopyFrom(without_free_values(value))
            getattr(copy, field.name).SetInParent()
    return copy


def copy_field(copy: Any, field: Any, value: Any) -> None:
    """Copy a scalar, a list of scalars or a map."""
    if field.message_type is not None:
        getattr(copy, field.name).MergeFrom(value)
    elif field.is_repeated:
        getattr(copy, field.name).extend(value)
    else:
        setattr(copy, field.name, value)


@functools.cache
def holds_free_values(descriptor: Descriptor) -> bool:
    """True when a message can carry free values at any depth (our request messages do not nest themselves)."""
    kinds = [field.message_type for field in descriptor.fields if field.message_type is not None]
    return any(kind.full_name in _FREE_VALUES or holds_free_values(kind) for kind in kinds)


def path_text(path: Any) -> str:
    """A field path as callers write it: `records[3].id`."""
    text = ""
    for element in path.elements:
        text += f".{element.field_name}" if text else str(element.field_name)
        if element.subscript is not None:
            text += f"[{element.subscript.value}]"
    return text
