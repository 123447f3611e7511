"""The rules of the tool server: which tools there are, what they may be given, and running one of them."""

from __future__ import annotations

import difflib
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from pyairtable_platform.common import context, tracing
from pyairtable_platform.common.errors import FieldViolation, InvalidInput, NotFound, PyAirtableError, Reason

from .argument_limits import check_values
from .metrics import TOOL_CALLS
from .model import Gateway
from .registry import ToolOfAny, all_tools
from .tool import MAX_KEY_LENGTH, Arguments, ToolContext
from .tools.export import ExportStream, prepare, stream_csv

A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose call it is, as far as this service cares: the workspace it selects and its idempotency key."""

    workspace: str = ""
    idempotency_key: str = ""


class ToolService:
    """Runs tools on what the gateway reaches."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def call(self, name: str, arguments: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """The structured result of a tool; raises NotFound, Denied, InvalidInput and whatever the gateway answers."""
        tool = find_tool(name)
        context.check_allowed(tool.need)
        started = time.perf_counter()
        outcome = str(Reason.INTERNAL)
        with tracing.span("execute_tool", gen_ai__tool__name=name):
            try:
                result = await tool.run(self._context(caller), validated(tool.arguments, arguments, name))
                outcome = "OK"
            except PyAirtableError as error:
                outcome = str(error.reason)
                raise
            finally:
                TOOL_CALLS.labels(name, outcome).observe(time.perf_counter() - started)
        dumped: dict[str, Any] = result.model_dump(mode="json")
        return dumped

    async def export_csv(self, arguments: Mapping[str, Any], caller: Caller) -> AsyncGenerator[str, None]:
        """A table as CSV in pieces. Names are checked before the first piece."""
        where = self._context(caller)
        asked = validated(ExportStream, arguments, "ExportTableCsv")
        export = await prepare(where, asked)
        async with aclosing(stream_csv(where, asked, export)) as pieces:
            async for piece in pieces:
                yield piece

    def _context(self, caller: Caller) -> ToolContext:
        if len(caller.idempotency_key) > MAX_KEY_LENGTH:
            raise InvalidInput.at("idempotency_key", f"must have at most {MAX_KEY_LENGTH} characters")
        return ToolContext(self.gateway, caller.workspace, caller.idempotency_key)


def usable_tools() -> tuple[str, ...]:
    """Names of the tools that the caller's role allows: a model is told of no other."""
    return tuple(name for name, tool in all_tools().items() if context.is_allowed(tool.need))


def find_tool(name: str) -> ToolOfAny:
    """The tool with this name; raises NotFound that suggests the nearest."""
    tools = all_tools()
    if name not in tools:
        near = difflib.get_close_matches(name, tools, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(tools)}"
        raise NotFound(f"there is no tool {name!r}; {hint}", reason=Reason.TOOL_NOT_FOUND)
    return tools[name]


def validated(model: type[A], arguments: Mapping[str, Any], tool: str) -> A:
    """The arguments as their model; raises InvalidInput that names every argument which is wrong."""
    check_values(arguments)
    try:
        return model.model_validate(dict(arguments))
    except ValidationError as error:
        known = list(model.model_fields)
        violations = [_violation(dict(item), tool, known) for item in error.errors(include_url=False)]
        text = "; ".join(f"{item.field}: {item.description}" for item in violations[:5])
        raise InvalidInput(text, violations=violations) from error


def as_text(structured: Mapping[str, Any]) -> str:
    """The structured result as JSON text, for clients that read text only."""
    return orjson.dumps(structured).decode()


def _violation(error: dict[str, Any], tool: str, known: list[str]) -> FieldViolation:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    if error["type"] == "extra_forbidden":
        top_level = len(error["loc"]) == 1
        takes = f"; it takes: {', '.join(known)}" if top_level else ""
        return FieldViolation(path, f"is not an argument of {tool}{takes}")
    if error["type"] == "missing":
        return FieldViolation(path, "is needed")
    message = str(error["msg"]).removeprefix("Value error, ")
    return FieldViolation(path, message[:1].lower() + message[1:])
