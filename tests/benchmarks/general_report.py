"""Tables of what a call costs: the limit of Airtable, reads, tools, chats, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report import Section

LIMIT = 5  # calls a second for a base (Airtable docs: rate limits)


def flood_section(floods: Sequence[Mapping[str, Any]]) -> Section:
    """What arrived at Airtable while the gateways were flooded, by the emulator's own log."""
    rows = []
    for one in floods:
        gap = one["gap_ms"]
        rows.append(
            (
                str(one["gateways"]),
                f"{one['per_second']:.2f}",
                f"{one['per_second'] / LIMIT:.1%}",
                str(one["peak_in_a_second"]),
                str(one["refused_429"]),
                f"{gap['p1']:.0f} / {gap['p50']:.0f} / {gap['p99']:.0f}",
            )
        )
    columns = ("gateways", "calls a second", "of the limit", "peak in any second", "429", "gap p1/p50/p99 ms")
    says = (
        "Gateway processes on one Valkey, each flooded by 25 callers. Counted by the emulator as calls arrive; the "
        "spread of the gaps is what jitter between sending and arriving makes of an even pace."
    )
    return Section("Airtable's limit under a flood", says, columns, rows)


def read_section(results: Mapping[str, Any]) -> Section:
    return timing_section("A page of records", "The emulator's answer directly and through us.", results)


def tool_section(results: Mapping[str, Any]) -> Section:
    says = "The tool get_records over each door, each call through the gateway to the emulator."
    return timing_section("A tool call", says, results)


def timing_section(title: str, says: str, results: Mapping[str, Any]) -> Section:
    """A table of ways to do the same thing; the first way is the referee of the ratios."""
    referee = next(iter(results.values()))["median_ms"]
    rows = [
        (name, f"{way['median_ms']:.1f}", f"{way['p95_ms']:.1f}", f"{way['median_ms'] / referee:.2f}")
        for name, way in results.items()
    ]
    return Section(title, says, ("way", "median ms", "p95 ms", "ratio"), rows)


def chat_section(turns: Mapping[str, Any]) -> Section:
    rows = [
        (
            kind,
            *(f"{one[name]:.1f}" for name in ("mean_ms", "model_ms", "tools_ms", "ours_ms")),
            f"{one['ours_share']:.0%}",
        )
        for kind, one in turns.items()
    ]
    says = "A turn with a model that answers at once: the provider's client, the tools, and the rest, which is ours."
    return Section("A chat turn", says, ("turn", "mean ms", "model", "tools", "ours", "share"), rows)


def memory_section(results: Mapping[str, float]) -> Section:
    rows = [(name, f"{mib:.0f}") for name, mib in results.items()]
    rows.append(("sum", f"{sum(results.values()):.0f}"))
    says = "Proportional memory of each process of the demo after the measurements above, in MiB."
    return Section("Memory", says, ("process", "MiB"), rows)
