"""Answers in JSON mode: the planner's text in an object of the shape that was asked for."""

from __future__ import annotations

from typing import Any

import orjson

from pyairtable_devkit.gemini.request import GenerateRequest


def as_json(text: str, request: GenerateRequest) -> str:
    """The text as JSON when the request wants JSON, else unchanged.

    With a schema the first text in it holds the answer and the rest is the emptiest value allowed: who needs more
    than the right shape writes a script.
    """
    if request.config.get("responseMimeType") != "application/json" or not text:
        return text
    schema = next(
        (
            request.config[name]
            for name in ("responseSchema", "responseJsonSchema", "_responseJsonSchema")
            if request.config.get(name)
        ),
        {"type": "object", "properties": {"answer": {"type": "string"}}},
    )
    return orjson.dumps(_Filler(text).value(schema)).decode()


class _Filler:
    def __init__(self, text: str) -> None:
        self._text = text

    def value(self, schema: dict[str, Any]) -> Any:
        """A value of the schema; the text is used up by the first string without choices."""
        if schema.get("enum"):
            return schema["enum"][0]
        if schema.get("anyOf"):
            return self.value(schema["anyOf"][0])
        kind = schema.get("type")
        kind = (kind[0] if isinstance(kind, list) else str(kind or "object")).lower()
        if kind == "object":
            return {name: self.value(item) for name, item in (schema.get("properties") or {}).items()}
        if kind == "array":
            return [self.value(schema.get("items") or {}) for _ in range(int(schema.get("minItems") or 0))]
        if kind == "string":
            text, self._text = self._text, ""
            return text
        return {"boolean": False, "null": None}.get(kind, schema.get("minimum", 0))
