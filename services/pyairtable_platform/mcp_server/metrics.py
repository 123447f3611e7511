"""Metrics of the tools."""

from __future__ import annotations

from prometheus_client import Histogram

TOOL_CALLS = Histogram(
    "pyairtable_tool_call_duration_seconds",
    "Time to run a tool, by tool and outcome (OK or the reason of the error)",
    ["tool", "outcome"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
