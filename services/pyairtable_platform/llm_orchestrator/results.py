"""Results of tools on their way to the model and to people: bounded in size, summed up in a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from pyairtable_platform.common.errors import PyAirtableError

from .ports import ToolOutcome

_NOTE = "_shortened"


def succeeded(response: Mapping[str, Any], *, max_characters: int, duration_ms: int) -> ToolOutcome:
    """The outcome of a call that worked."""
    return ToolOutcome(bounded(response, max_characters), summary=summary(response), duration_ms=duration_ms)


def failed(error: PyAirtableError, *, duration_ms: int) -> ToolOutcome:
    """The outcome of a call that did not, as the model is told it: reason, words and fields, nothing else."""
    told: dict[str, Any] = {"reason": str(error.reason), "message": error.message}
    if error.violations:
        told["fields"] = [{"field": item.field, "problem": item.description} for item in error.violations]
    return ToolOutcome({"error": told}, error=error.message, duration_ms=duration_ms)


def bounded(response: Mapping[str, Any], max_characters: int) -> dict[str, Any]:
    """The result, cut to about `max_characters` of JSON with a note that says what is missing.

    The longest list loses its end, so that what is left keeps its shape; a result without one becomes cut text.
    """
    whole = dict(response)
    text = orjson.dumps(whole).decode()
    if len(text) <= max_characters:
        return whole
    key = max(whole, key=lambda name: len(orjson.dumps(whole[name])))
    items = whole[key]
    if not isinstance(items, list):
        return {_NOTE: f"the result has {len(text)} characters; its beginning follows", "text": text[:max_characters]}
    rest = len(text) - len(orjson.dumps(items))
    shown = _fitting(items, max_characters - rest)
    note = f"{len(shown)} of {len(items)} {key} are shown because the result is too large; ask for less or page on"
    return {_NOTE: note, **whole, key: shown}


def _fitting(items: list[Any], characters: int) -> list[Any]:
    shown = []
    for item in items:
        characters -= len(orjson.dumps(item)) + 1
        if characters < 0:
            break
        shown.append(item)
    return shown


def summary(response: Mapping[str, Any]) -> str:
    """A line for people, for example "12 records"; empty when there is nothing short to say."""
    for key, value in response.items():
        if isinstance(value, list):
            count = len(value)
            return f"{count} {key.replace('_', ' ').removesuffix('s') if count == 1 else key.replace('_', ' ')}"
    message = response.get("message") or response.get("summary")
    return message if isinstance(message, str) and len(message) <= 200 else ""
