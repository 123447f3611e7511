"""Prometheus metrics of every call, with the names of OpenTelemetry's stable conventions (dots as underscores)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

SERVER_CALLS = Histogram(
    "rpc_server_call_duration_seconds",
    "Time from the first byte of a call to its end, by method and status",
    ["rpc_method", "rpc_response_status_code"],
    buckets=_SECONDS,
)
CALLS_IN_PROGRESS = Gauge("rpc_server_calls_in_progress", "Calls being served now", ["rpc_method"])
ERRORS = Counter("pyairtable_errors_total", "Failed calls by reason (docs/errors.md)", ["reason"])
HTTP_REQUESTS = Histogram(
    "http_server_request_duration_seconds",
    "Time to serve an HTTP request, by route and status",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=_SECONDS,
)
