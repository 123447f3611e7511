"""Model and tool calls leave spans and metrics with the names of OpenTelemetry, and never contents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY
from unit.llm_orchestrator.chat_fakes import FakeToolServer, ScriptedModel, says

from pyairtable_platform.common import tracing
from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.llm_orchestrator.ports import ModelRequest, Thinking, ToolCall
from pyairtable_platform.llm_orchestrator.telemetry import ObservedModel, ObservedTools

REQUEST = ModelRequest("model-of-this-test", "secret prompt", [], [], Thinking(), 5)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


async def test_a_model_call(spans: InMemorySpanExporter) -> None:
    model = ObservedModel(ScriptedModel([says("secret answer")]))
    pieces = [piece async for piece in model.stream(REQUEST)]
    assert len(pieces) == 3
    (span,) = spans.get_finished_spans()
    assert span.name == "chat model-of-this-test"
    attributes = dict(span.attributes or {})
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.usage.input_tokens"] == 1000
    assert attributes["gen_ai.usage.reasoning.output_tokens"] == 10
    assert attributes["gen_ai.response.finish_reasons"] == ("STOP",)
    assert "secret" not in repr(attributes)
    labels = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "gcp.gemini",
        "gen_ai_request_model": "model-of-this-test",
    }
    assert REGISTRY.get_sample_value("gen_ai_client_token_usage_sum", {**labels, "gen_ai_token_type": "input"}) == 1000
    assert (
        REGISTRY.get_sample_value("gen_ai_client_operation_duration_seconds_count", {**labels, "error_type": ""}) == 1
    )


async def test_a_tool_call_that_fails(spans: InMemorySpanExporter) -> None:
    async def refuse(call: ToolCall) -> dict[str, object]:
        raise InvalidInput.at("q", "secret value")

    with pytest.raises(InvalidInput):
        await ObservedTools(FakeToolServer(refuse)).call(ToolCall("acme", "tool-of-this-test", {}, "run:1.1", 5))
    (span,) = spans.get_finished_spans()
    assert span.name == "execute_tool tool-of-this-test"
    assert dict(span.attributes or {})["gen_ai.tool.call.id"] == "run:1.1"
    labels = {
        "gen_ai_operation_name": "execute_tool",
        "gen_ai_provider_name": "",
        "gen_ai_request_model": "tool-of-this-test",
        "error_type": "INVALID_INPUT",
    }
    assert REGISTRY.get_sample_value("gen_ai_client_operation_duration_seconds_count", labels) == 1
