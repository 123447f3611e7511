"""`make bench`: measure, print tables, store raw results and the page in docs/benchmarks/.

make bench                      everything, about four minutes
make bench ARGS="--seconds 10"  shorter floods
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # so that this file runs without pytest

from benchmarks import chat, doors, flood, machine, report  # noqa: E402 - needs the path above
from benchmarks.report import Section  # noqa: E402
from benchmarks.system import UNPACED, running_system  # noqa: E402

PAGES = ROOT / "docs" / "benchmarks"
LIMIT = 5  # calls a second for a base (Airtable docs: rate limits)


def main(
    seconds: Annotated[float, typer.Option(help="Length of each flood.")] = 20.0,
    rounds: Annotated[int, typer.Option(help="Samples of each timed call.")] = 60,
    store: Annotated[bool, typer.Option(help="Write docs/benchmarks.")] = True,
) -> None:
    """Measure everything; exit 1 when the limit of Airtable was not kept."""
    console = Console()
    results: dict[str, Any] = {"machine": machine.describe()}
    sections: list[Section] = []

    def add(section: Section) -> None:
        sections.append(section)
        report.show(console, section)

    results["flood"] = [asyncio.run(flood.flood(number, seconds=seconds)) for number in (1, 2, 4)]
    add(flood_section(results["flood"]))
    with running_system(UNPACED) as system:
        results["read"] = asyncio.run(doors.gateway_read(system, rounds))
        add(
            report.timing_section(
                "A page of records", "The emulator's answer directly and through us.", results["read"]
            )
        )
        results["tool"] = asyncio.run(doors.tool_call(system, rounds))
        says = "The tool get_records over each door, each call through the gateway to the emulator."
        add(report.timing_section("A tool call", says, results["tool"]))
        results["chat"] = asyncio.run(chat.chat_turns(system, rounds // 3))
        add(chat_section(results["chat"]))
        results["memory_mib"] = doors.memory(system)
        add(report.memory_section(results["memory_mib"]))
    if store:
        write(results, sections)
        console.print(f"stored in {PAGES.relative_to(ROOT)}")
    broken = [one for one in results["flood"] if one["peak_in_a_second"] > LIMIT or one["refused_429"]]
    raise typer.Exit(1 if broken else 0)


def flood_section(floods: list[dict[str, Any]]) -> Section:
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


def chat_section(turns: dict[str, Any]) -> Section:
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


def write(results: dict[str, Any], sections: list[Section]) -> None:
    """Store the raw results beside the page that shows them."""
    PAGES.mkdir(parents=True, exist_ok=True)
    raw = f"results-{datetime.now(UTC):%Y-%m-%d}.json"
    (PAGES / raw).write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2))
    (PAGES / "README.md").write_text(report.page(results["machine"], raw, sections))


if __name__ == "__main__":
    typer.run(main)
