"""Orders hidden in tool results: found here, obeyed only when a test says so (`obey_injection`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson

from pyairtable_devkit.gemini.planner.shapes import strings_in
from pyairtable_devkit.gemini.request import Call, Declaration

_ORDER = re.compile(
    r"(?:ignore (?:all |any |the )*(?:previous|prior|other|above) instructions(?: and|,|\.|;|:)*|"
    r"\byou must(?: now)?|\b(?:system|assistant|important|new instructions?)\s*:)\s*(?P<order>[^\n]+)",
    re.IGNORECASE,
)


def orders_in(results: Sequence[dict[str, Any]], tools: Sequence[Declaration]) -> list[str | Call]:
    """What texts in tool results tell the model to do: calls written out as JSON, or sentences."""
    found: list[str | Call] = []
    for text in (text for result in results for text in strings_in(result)):
        calls = _calls(text, tools)
        sentence = _ORDER.search(text)
        orders: list[str | Call] = [*calls] or ([sentence["order"].strip()] if sentence else [])
        found += [order for order in orders if order not in found]
    return found


def _calls(text: str, tools: Sequence[Declaration]) -> list[Call]:
    calls = []
    for tool in tools:
        match = re.search(rf"\b{re.escape(tool.name)}\b\W{{0,10}}(?:with\s+)?(?P<args>\{{.*?\}})", text, re.DOTALL)
        if match is None:
            continue
        try:
            calls.append(Call(tool.name, orjson.loads(match["args"])))
        except orjson.JSONDecodeError:
            continue
    return calls
