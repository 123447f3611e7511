"""What Prometheus can ask of the operator. Built once in main and handed on, so that tests can have their own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """All metrics of the process, in a registry of its own."""

    def __init__(self) -> None:
        """Registers everything."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.reconciles = Counter("pyairtable_operator_reconciles", "Passes by result.", ["result"], registry=registry)
        self.reconcile_seconds = Histogram(
            "pyairtable_operator_reconcile_seconds", "Duration of a pass.", buckets=_BUCKETS, registry=registry
        )
        self.errors = Counter(
            "pyairtable_operator_errors", "Passes that failed, by reason.", ["reason"], registry=registry
        )
        self.queue_depth = Gauge(
            "pyairtable_operator_queue_depth", "Workspaces that wait for a pass.", registry=registry
        )
        self.queue_seconds = Histogram(
            "pyairtable_operator_queue_seconds",
            "Wait before a pass.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.api_calls = Counter(
            "pyairtable_operator_api_calls",
            "Requests to the Kubernetes API by verb, kind and HTTP status (0: no answer).",
            ["verb", "kind", "status"],
            registry=registry,
        )
        self.platform_calls = Counter(
            "pyairtable_operator_platform_calls",
            "Calls to the platform's services, by RPC and gRPC status.",
            ["rpc", "code"],
            registry=registry,
        )
        self.workspaces = Gauge(
            "pyairtable_operator_workspaces",
            "Workspaces by condition and its status.",
            ["condition", "status"],
            registry=registry,
        )
        self.objects = Gauge(
            "pyairtable_operator_objects", "Objects that are kept in memory.", ["kind"], registry=registry
        )
        self.watch_age = Gauge(
            "pyairtable_operator_watch_age_seconds", "Time since a watch heard anything.", ["kind"], registry=registry
        )
        self.relists = Counter("pyairtable_operator_relists", "Full lists, by kind.", ["kind"], registry=registry)
        self.leader = Gauge("pyairtable_operator_leader", "1 while this replica holds the Lease.", registry=registry)
