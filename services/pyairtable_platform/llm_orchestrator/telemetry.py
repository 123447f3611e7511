"""Spans and metrics of model and tool calls, with the names of OpenTelemetry's gen_ai conventions.

Written by hand: the instrumentation package for google-genai does not know its version 3. Contents are never recorded.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from opentelemetry.trace import Span, SpanKind
from prometheus_client import Counter, Gauge, Histogram

from pyairtable_platform.common.errors import PyAirtableError
from pyairtable_platform.common.tracing import span

from .ports import Chunk, Model, ModelRequest, Reply, Tool, ToolCall, ToolServer, Usage

PROVIDER = "gcp.gemini"

_LABELS = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80)
TOKENS = Histogram(
    "gen_ai_client_token_usage",
    "Tokens of a model call, by type",
    [*_LABELS, "gen_ai_token_type"],
    buckets=(1, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576),
)
DURATION = Histogram(
    "gen_ai_client_operation_duration_seconds",
    "Time of a model call, or of a tool call (execute_tool)",
    [*_LABELS, "error_type"],
    buckets=_SECONDS,
)
FIRST_CHUNK = Histogram(
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    "Time from a model call to its first chunk",
    _LABELS,
    buckets=_SECONDS,
)
RUNS = Counter("pyairtable_chat_runs_total", "Turns that ended in this process, by state", ["state"])
RUNS_IN_PROGRESS = Gauge("pyairtable_chat_runs_in_progress", "Turns this process works on")
TAKEOVERS = Counter("pyairtable_chat_takeovers_total", "Turns taken over from a worker that left them")
COST = Counter("pyairtable_chat_cost_usd_total", "US dollars by the provider's numbers and our price table", ["model"])


class ObservedModel:
    """A model whose calls are traced and counted."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def stream(self, request: ModelRequest) -> AsyncIterator[Chunk | Reply]:
        """Ask once; see ports.Model."""
        labels = ("chat", PROVIDER, request.model)
        started = time.monotonic()
        first, usage, failure = True, Usage(), ""
        with span(
            f"chat {request.model}",
            kind=SpanKind.CLIENT,
            gen_ai__operation__name="chat",
            gen_ai__provider__name=PROVIDER,
            gen_ai__request__model=request.model,
        ) as current:
            try:
                async for piece in self._model.stream(request):
                    if first:
                        first = False
                        FIRST_CHUNK.labels(*labels).observe(time.monotonic() - started)
                    usage = piece.usage or usage
                    if isinstance(piece, Reply):
                        current.set_attribute("gen_ai.response.finish_reasons", [piece.finish_reason])
                    yield piece
            except BaseException as error:
                failure = error_type(error)
                raise
            finally:
                _record_usage(current, labels, usage)
                DURATION.labels(*labels, failure).observe(time.monotonic() - started)


class ObservedTools:
    """A tool server whose calls are traced and counted."""

    def __init__(self, server: ToolServer) -> None:
        self._server = server

    async def list_tools(self) -> Sequence[Tool]:
        """Every tool there is."""
        return await self._server.list_tools()

    async def call(self, call: ToolCall) -> dict[str, Any]:
        """Run a tool."""
        started = time.monotonic()
        failure = ""
        with span(
            f"execute_tool {call.name}",
            kind=SpanKind.CLIENT,
            gen_ai__operation__name="execute_tool",
            gen_ai__tool__name=call.name,
            gen_ai__tool__call__id=call.idempotency_key,
        ):
            try:
                return await self._server.call(call)
            except BaseException as error:
                failure = error_type(error)
                raise
            finally:
                DURATION.labels("execute_tool", "", call.name, failure).observe(time.monotonic() - started)


def error_type(error: BaseException) -> str:
    """The reason of our errors, the class of others."""
    return str(error.reason) if isinstance(error, PyAirtableError) else type(error).__name__


def _record_usage(current: Span, labels: tuple[str, str, str], usage: Usage) -> None:
    counted = {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cache_read.input": usage.cached_tokens,
        "reasoning.output": usage.thinking_tokens,
    }
    for kind, tokens in counted.items():
        current.set_attribute(f"gen_ai.usage.{kind}_tokens", tokens)
        if tokens:
            TOKENS.labels(*labels, kind).observe(tokens)
