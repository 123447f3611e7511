"""JSON and URLs to messages, messages to JSON. Proto field names (snake_case) both ways, camelCase accepted.

Every way in which a request can be malformed ends in InvalidInput that names the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.values import EXACT

from .routes import Binding

MAX_JSON_DEPTH = 25
"""Each level of JSON costs up to three levels of protobuf, whose parsers stop at 100."""

_UNKNOWN_FIELD = re.compile(r'no field named "([^"]+)"')
_BAD_FIELD = re.compile(r"Failed to parse ([\w.\[\]]+) field: (.*)", re.DOTALL)
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
_WHOLE_NUMBERS = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT32)
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def parse_request(binding: Binding, path: Mapping[str, str], query: Sequence[tuple[str, str]], body: bytes) -> Any:
    """The request message of an RPC from the parts of an HTTP request."""
    content: dict[str, Any] = {}
    if binding.body == "*":
        content = parse_body(body)
    elif binding.body:
        content = {binding.body: parse_body(body)}
    elif body.strip():
        raise InvalidInput.at("body", f"{binding.verb} {binding.template} takes none")
    content |= parse_query(binding, query)
    content |= path
    return parse_message(content, message_factory.GetMessageClass(binding.method.input_type)())


def parse_body(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty body is an empty object."""
    if not body.strip():
        return {}
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput.at("body", f"is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise InvalidInput.at("body", "must be a JSON object")
    if deeper_than(parsed, MAX_JSON_DEPTH):
        raise InvalidInput.at("body", f"is nested deeper than {MAX_JSON_DEPTH} levels")
    return parsed


def deeper_than(value: Any, levels: int) -> bool:
    """True when lists and objects nest more than `levels` deep."""
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    return any(deeper_than(item, levels - 1) for item in (value.values() if isinstance(value, dict) else value))


def parse_query(binding: Binding, query: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Query parameters by field name: lists by repetition, messages as JSON."""
    fields = binding.query_fields()
    values: dict[str, Any] = {}
    for name, text in query:
        field = fields.get(name)
        if field is None:
            raise InvalidInput.at(name, f"{binding.verb} {binding.template} has no such parameter")
        value = query_value(field, text)
        if field.is_repeated:
            values.setdefault(field.name, []).append(value)
        elif field.name in values:
            raise InvalidInput.at(field.name, "is given twice")
        else:
            values[field.name] = value
    return values


def query_value(field: FieldDescriptor, text: str) -> Any:
    """The text of a query parameter as the JSON value of its field."""
    if field.message_type is not None:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise InvalidInput.at(field.name, f"is not JSON: {error}") from None
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text.lower() not in _TRUTHS:
            raise InvalidInput.at(field.name, "must be true or false")
        return _TRUTHS[text.lower()]
    if field.type in _WHOLE_NUMBERS:
        if not _WHOLE_NUMBER.fullmatch(text):
            raise InvalidInput.at(field.name, "must be a whole number")
        return int(text)
    return text


def parse_message(content: Mapping[str, Any], message: Message) -> Message:
    """Fill a message from JSON values."""
    try:
        return json_format.ParseDict(dict(content), message)
    except json_format.ParseError as error:
        raise as_invalid_input(str(error)) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput.at("body", f"does not fit the request: {error}") from None


def as_invalid_input(text: str) -> InvalidInput:
    """protobuf's parse error as ours: it names the field, and not our message types."""
    if unknown := _UNKNOWN_FIELD.search(text):
        return InvalidInput.at(unknown[1], "is not a field of this request")
    if bad := _BAD_FIELD.match(text):
        inner = _BAD_FIELD.match(bad[2])
        if inner:
            return InvalidInput.at(f"{bad[1]}.{inner[1]}", first_line(inner[2]))
        return InvalidInput.at(bad[1], first_line(bad[2]))
    return InvalidInput.at("body", first_line(text))


def first_line(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else "has a wrong value"


def to_json(message: Message) -> bytes:
    """A message as JSON, fields without presence included, so that an empty list is a list."""
    return orjson.dumps(to_plain(message))


def to_plain(message: Message) -> dict[str, Any]:
    """A message as plain JSON values."""
    plain = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {key: with_whole_numbers(value) for key, value in plain.items()}


def with_whole_numbers(value: Any) -> Any:
    """The value with 5 where free values hold 5.0: a Struct knows doubles only, and people wrote 5."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= EXACT else value
    if isinstance(value, dict):
        return {key: with_whole_numbers(item) for key, item in value.items()}
    return [with_whole_numbers(item) for item in value] if isinstance(value, list) else value
