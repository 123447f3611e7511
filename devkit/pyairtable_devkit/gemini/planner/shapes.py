"""Reading tool results without knowing the tool: JSON in text, wrapped results, lists of named things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

_WRAPPERS = ("result", "output", "data", "structuredContent", "structured_content", "content", "text")
_NEXT_PAGE = ("next_page_token", "nextPageToken", "next_cursor", "nextCursor", "next_offset", "cursor", "offset")


def unwrap(value: Any) -> Any:
    """The result inside {"result": ...}, MCP content items or JSON text."""
    if isinstance(value, str):
        return _json_or_text(value)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and value[0].get("type") == "text":
        return unwrap(value[0].get("text", ""))
    if isinstance(value, dict) and not is_shortened(value):
        for name in _WRAPPERS:
            if name in value and len(value) <= 2 and isinstance(value[name], dict | list | str):
                inner = unwrap(value[name])
                if isinstance(inner, dict | list):
                    return inner
    return value


def error_of(response: dict[str, Any]) -> str:
    """The error a tool answered with, or ""."""
    failed = bool(response.get("isError") or response.get("is_error") or response.get("success") is False)
    error = response.get("error") or response.get("error_message")
    if not error and not failed:
        inner = unwrap(response)
        return error_of(inner) if isinstance(inner, dict) and inner is not response else ""
    if isinstance(error, dict):
        error = error.get("message") or error.get("type") or error
    if not error:
        error = unwrap(response.get("content") or response.get("message") or "no reason given")
    return str(error).strip().rstrip(".")


def records_in(result: Any) -> list[dict[str, Any]]:
    """Records: objects with an id and a `fields` object."""
    found = _first_list(result, lambda item: isinstance(item.get("fields"), dict) and "id" in item)
    if found is None and isinstance(result, dict):
        found = next(([item] for item in _dicts(result) if isinstance(item.get("fields"), dict) and "id" in item), None)
    return found or []


def named_in(result: Any, prefer: str) -> list[dict[str, Any]]:
    """Things with a name and an id (tables, bases), taken from the key `prefer` when it is there."""
    if isinstance(result, dict) and isinstance(result.get(prefer), list):
        return [item for item in result[prefer] if isinstance(item, dict) and "name" in item]
    return _first_list(result, lambda item: "name" in item and "id" in item) or []


def fields_in(result: Any) -> list[dict[str, Any]]:
    """Field descriptions: objects with a name and a type."""
    return _first_list(result, lambda item: isinstance(item.get("name"), str) and "type" in item) or []


def next_page(result: Any) -> str:
    """The token of the next page, or ""."""
    if not isinstance(result, dict):
        return ""
    return next((str(result[name]) for name in _NEXT_PAGE if result.get(name)), "")


def is_shortened(result: Any) -> bool:
    """Whether the client cut the result down before it sent it."""
    if not isinstance(result, dict):
        return False
    return any("shortened" in name or (name.endswith("truncated") and result[name]) for name in result)


def strings_in(value: Any) -> Iterator[str]:
    """Every text anywhere in a result."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)


def _json_or_text(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _first_list(value: Any, matches: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]] | None:
    """The first list, outermost first, whose items are objects that match."""
    level = [value]
    while level:
        for item in level:
            if isinstance(item, list) and item and all(isinstance(x, dict) and matches(x) for x in item):
                return item
        level = [child for item in level for child in _children(item)]
    return None


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    level = [value]
    while level:
        yield from (item for item in level if isinstance(item, dict))
        level = [child for item in level for child in _children(item)]


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    return list(item) if isinstance(item, list) else []
