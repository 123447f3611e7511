"""JSON Schema of arguments and results, plain enough for every model and client: no $ref, no generated titles."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


def json_schema(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    """The schema of a model with its definitions put in place (our models do not nest themselves)."""
    schema = model.model_json_schema(mode=mode)
    definitions = schema.pop("$defs", {})
    plain: dict[str, Any] = _plain(schema, definitions)
    plain.pop("description", None)  # the docstring is for readers of the code
    return plain


def _plain(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_plain(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[str(node["$ref"]).rpartition("/")[2]]
        overrides = {key: value for key, value in node.items() if key != "$ref"}
        return _plain({**target, **overrides}, definitions)
    # A property may be called "title": only a text there is pydantic's own.
    return {
        key: _plain(value, definitions)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str))
    }
