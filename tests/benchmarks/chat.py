"""A turn of a chat with a model that answers at once: what is left is ours, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx2
from benchmarks.system import System
from benchmarks.timing import Way, interleaved
from prometheus_client.parser import text_string_to_metric_families

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_protos.chat.v1 import chat_service_pb2 as rpc
from pyairtable_protos.chat.v1 import chat_service_pb2_grpc

QUESTIONS = {
    "one model call": "Thank you",
    "two model calls and a tool": "List all tables in my Airtable base",
}
_DURATION = "gen_ai_client_operation_duration_seconds_sum"


async def chat_turns(system: System, rounds: int) -> dict[str, Any]:
    """Time of turns over gRPC, by kind of question: `total` for the caller, and where it went on average.

    `model_ms` and `tools_ms` are the calls as the orchestrator measures them, clients included; `ours_ms` is the rest:
    the log in PostgreSQL, the loop, gRPC. `ours_share` is its part of the whole.
    """
    found: dict[str, Any] = {}
    async with httpx2.AsyncClient(timeout=30) as http, ServiceChannel(system.grpc(9003)) as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel.channel)
        for kind, question in QUESTIONS.items():
            request = rpc.ChatRequest(message=question)  # each in a session of its own
            ways: Mapping[str, Way] = {kind: partial(stub.Chat, request, **system.shown())}
            await interleaved(ways, rounds=1)
            before = await _spent(http, system)
            timed = await interleaved(ways, rounds=rounds, warm_up=0)
            after = await _spent(http, system)
            found[kind] = _split(timed[kind], before, after, rounds)
    return found


def _split(total: dict[str, Any], before: dict[str, float], after: dict[str, float], rounds: int) -> dict[str, Any]:
    model, tools = ((after[name] - before[name]) * 1000 / rounds for name in ("chat", "execute_tool"))
    mean = sum(total["samples_ms"]) / rounds
    ours = mean - model - tools
    return {
        "total": total,
        "mean_ms": round(mean, 3),
        "model_ms": round(model, 3),
        "tools_ms": round(tools, 3),
        "ours_ms": round(ours, 3),
        "ours_share": round(ours / mean, 3),
    }


async def _spent(http: httpx2.AsyncClient, system: System) -> dict[str, float]:
    """Seconds in model and tool calls since the orchestrator began."""
    text = (await http.get(f"{system.http(8003)}/metrics")).raise_for_status().text
    spent = {"chat": 0.0, "execute_tool": 0.0}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == _DURATION:
                spent[sample.labels["gen_ai_operation_name"]] += sample.value
    return spent
