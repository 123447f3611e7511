"""Spans, when TRACING_ENABLED: made at the border of a service and around what is worth seeing inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind

Attribute = str | int | float | bool

_tracer = trace.get_tracer("pyairtable")


def configure_tracing(service: str, version: str, endpoint: str) -> TracerProvider:
    """Export spans to `endpoint` (OTLP over gRPC). The caller shuts the provider down, which flushes it."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.version": version}))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https")))
    )
    trace.set_tracer_provider(provider)
    return provider


@contextmanager
def span(name: str, *, kind: SpanKind = SpanKind.INTERNAL, **attributes: Attribute) -> Iterator[Span]:
    """A span around a piece of work; keyword names use `__` for a dot (`gen_ai__request__model`)."""
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    with _tracer.start_as_current_span(name, kind=kind, attributes=named) as current:
        yield current


@contextmanager
def server_span(name: str, carrier: Mapping[str, str]) -> Iterator[Span]:
    """The span of a served call, a child of the caller's when its headers name one."""
    parent = propagate.extract(carrier)
    with _tracer.start_as_current_span(name, context=parent, kind=SpanKind.SERVER) as current:
        yield current


def outgoing_headers() -> dict[str, str]:
    """W3C trace headers for a call to another service; empty when nothing is traced."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers
