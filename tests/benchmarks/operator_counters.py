"""Counters of the API server and of the operator, and what lies between two readings of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

WRITES = {"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
READS = {"GET", "LIST"}
OURS = {
    "workspaces",
    "basebindings",
    "namespaces",
    "resourcequotas",
    "limitranges",
    "networkpolicies",
    "serviceaccounts",
    "secrets",
    "roles",
    "rolebindings",
    "clusterroles",
    "clusterrolebindings",
}
"""Kinds that the operator handles; leases and events are told apart."""

Requests = Counter[tuple[str, str, str]]
"""Verb, resource and subresource, and how often."""


def requests(metrics_text: str) -> Requests:
    """`apiserver_request_total`, refusals included."""
    found: Requests = Counter()
    for labels, value in samples(metrics_text, "apiserver_request_total"):
        found[labels["verb"], labels["resource"], labels["subresource"]] += round(value)
    return found


def operator_calls(metrics_text: str) -> Requests:
    """The operator's own count of its requests: verb, kind, status."""
    found: Requests = Counter()
    for labels, value in samples(metrics_text, "pyairtable_operator_api_calls_total"):
        found[labels["verb"], labels["kind"], labels["status"]] += round(value)
    return found


def samples(metrics_text: str, name: str) -> list[tuple[Mapping[str, str], float]]:
    """Labels and value of every sample of a metric."""
    wanted = "\n".join(line for line in metrics_text.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    families = text_string_to_metric_families(wanted + "\n")
    return [(one.labels, one.value) for family in families for one in family.samples if one.name == name]


def of_tenants(counted: Requests, verbs: set[str]) -> int:
    """How many requests with such a verb were about what the operator handles."""
    return total(counted, lambda verb, resource, _sub: verb in verbs and resource in OURS)


def total(counted: Requests, where: Callable[[str, str, str], bool]) -> int:
    """The sum of what fits."""
    return sum(number for key, number in counted.items() if where(*key))


def table(counted: Requests) -> dict[str, Any]:
    """As it is stored: `VERB resource/sub` with its number, the most frequent first."""
    return {
        f"{verb} {resource}" + (f"/{sub}" if sub else ""): number
        for (verb, resource, sub), number in counted.most_common()
        if number
    }
