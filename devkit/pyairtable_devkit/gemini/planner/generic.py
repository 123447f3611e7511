"""Tools the planner does not know: chosen by their names, filled from the request by their schemas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pyairtable_devkit.gemini.planner import markdown
from pyairtable_devkit.gemini.planner.outcome import AskUser
from pyairtable_devkit.gemini.planner.words import fit, quoted, stems, without_quoted
from pyairtable_devkit.gemini.planner.world import World
from pyairtable_devkit.gemini.request import Call, Declaration

_AFTER = re.compile(r"\b(?:in|for|of|about|at|to|with)\s+(?:the\s+)?(?P<what>[^?!,]+?)[?.!]*$", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_GOOD_ENOUGH = 0.7


def fitting_tool(text: str, tools: Sequence[Declaration]) -> Declaration | None:
    """The tool whose name the request's words fit well enough, or None."""
    words = set(stems(without_quoted(text)))
    ranked = sorted(tools, key=lambda tool: _fit(tool, words), reverse=True)
    return ranked[0] if ranked and _fit(ranked[0], words) >= _GOOD_ENOUGH else None


def _fit(tool: Declaration, words: set[str]) -> float:
    described = len(words & set(stems(tool.description)))
    return fit(re.sub(r"[_.:-]+|(?<=[a-z])(?=[A-Z])", " ", tool.name), words) + 0.02 * described


def use_tool(tool: Declaration, text: str, world: World) -> str:
    """Call a tool with what the request gives it, and tell what it answered."""
    args = _arguments(tool, text)
    missing = [name for name in tool.required if name not in args]
    if missing:
        raise AskUser(f"To use {tool.name} I need: {', '.join(missing)}. What should I use?")
    result = world.ask([Call(tool.name, args)])[0]
    return f"{tool.name} answered:\n\n{markdown.outline(result)}"


def forced_call(tools: Sequence[Declaration], text: str) -> Call:
    """The call of a model that must call something (mode ANY), whatever the request says."""
    tool = fitting_tool(text, tools) or tools[0]
    args = _arguments(tool, text)
    for name in tool.required:
        args.setdefault(name, _filling(tool.properties.get(name, {}), text))
    return Call(tool.name, args)


def _arguments(tool: Declaration, text: str) -> dict[str, Any]:
    args: dict[str, Any] = {}
    texts = quoted(text)
    for name, schema in tool.properties.items():
        value = _argument(name, schema if isinstance(schema, dict) else {}, text, texts, name in tool.required)
        if value is not None:
            args[name] = value
    return args


def _argument(name: str, schema: dict[str, Any], text: str, texts: list[str], required: bool) -> Any:
    for choice in schema.get("enum") or ():
        if re.search(rf"\b{re.escape(str(choice))}\b", text, re.IGNORECASE):
            return choice
    said = re.search(rf"\b{re.escape(name.replace('_', ' '))}\s*(?:=|:|is|of)?\s+([^\s,?]+)", text, re.IGNORECASE)
    kind = schema.get("type")
    if kind in ("number", "integer"):
        number = _NUMBER.search(said.group(1) if said else text if required else "")
        return None if number is None else (int if kind == "integer" else float)(float(number.group()))
    if kind != "string":
        return None
    if said:
        return said.group(1).strip("'\".")
    if texts:
        return texts.pop(0)
    after = _AFTER.search(text)
    return after["what"].strip() if required and after else None


def _filling(schema: dict[str, Any], text: str) -> Any:
    """Any value the schema allows."""
    if schema.get("enum"):
        return schema["enum"][0]
    empty: dict[str, Any] = {"number": 0, "integer": 0, "boolean": False, "array": [], "object": {}}
    return empty.get(str(schema.get("type")), text)
