"""What the gateway counts. Labels are bounded: no base, table or workspace names."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter("pyairtable_airtable_calls_total", "Calls to Airtable", ["operation", "outcome"])
CALL_SECONDS = Histogram(
    "pyairtable_airtable_call_duration_seconds",
    "Time from the first byte sent to the end of Airtable's answer",
    ["operation"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
WAIT_SECONDS = Histogram(
    "pyairtable_airtable_turn_wait_seconds",
    "Time that calls waited for their turn",
    ["kind"],
    buckets=(0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
QUEUED = Gauge("pyairtable_airtable_queue_calls", "Calls waiting for their turn")
TURNED_AWAY = Counter("pyairtable_airtable_turned_away_total", "Calls refused before they were sent", ["why"])
PENALTIES = Counter("pyairtable_airtable_penalties_total", "429 answers that paused a base")
STORE_SWITCHES = Counter(
    "pyairtable_limiter_switches_total", "Changes between the shared limiter store and the own share", ["to"]
)
ROWS = Counter("pyairtable_airtable_rows_total", "Rows of writes by outcome", ["state"])
