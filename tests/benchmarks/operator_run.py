"""`make bench-operator`: the operator under load against a bare loop, stored in docs/benchmarks/operator.md.

make bench-operator                                       1,000 workspaces and ten idle minutes: about half an hour
make bench-operator ARGS="--number 50 --idle-minutes 1 --no-store"    a look
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT / "tests")  # so that this file runs without pytest

from benchmarks import machine, operator_measure, report  # noqa: E402 - needs the path above
from benchmarks.operator_cluster import CONCURRENCY, cluster, rig  # noqa: E402
from benchmarks.report import Section  # noqa: E402

PACKAGES = ("kopf", "kubernetes", "aiohttp", "grpcio", "orjson")
PAGES = ROOT / "docs" / "benchmarks"
TARGETS = {"ratio": 1.6, "single_p99_ms": 1000.0, "resident_mib": 200.0, "idle_writes": 0.0, "idle_reads": 0.0}
"""What issue and design promise; the last two for the idle minutes."""

HEAD = """# The operator under load

Made by `make bench-operator`, which writes this page and the raw results beside it. A control plane of its own (etcd,
kube-apiserver, kube-controller-manager; no nodes) shares the machine with the operator. The platform (registry, keys,
verification) is a stand-in in a process of its own that answers at once, so the figures are those of the operator and
of the API server. The referee is a bare loop over `kubernetes.aio` that server-side-applies the same objects, with the
same concurrency, to a fresh control plane in the same run. Ratios count; absolute times depend on the machine.
"""


def main(
    number: Annotated[int, typer.Option(help="Workspaces of the flood.", min=2, max=9999)] = 1000,
    idle_minutes: Annotated[float, typer.Option(help="Length of the time in which nobody does anything.")] = 10.0,
    singles: Annotated[int, typer.Option(help="Workspaces made one by one.", min=1)] = 100,
    store: Annotated[bool, typer.Option(help="Write docs/benchmarks/operator.md.")] = True,
) -> None:
    """Measure; exit 1 when a target was missed."""
    console = Console()
    results = measure(number, idle_minutes * 60, singles, lambda text: console.print(text, style="dim"))
    results["machine"] = machine.describe(PACKAGES)
    shown = sections(results)
    for section in shown:
        report.show(console, section)
    if store:
        write(results, shown)
        console.print("stored in docs/benchmarks/operator.md")
    missed = [row[0] for row in verdicts(results) if row[3] != "yes"]
    raise typer.Exit(1 if missed else 0)


def measure(number: int, idle_seconds: float, singles: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All measurements; `say` hears what is being done."""
    results: dict[str, Any] = {"concurrency": CONCURRENCY, "platform": "a stand-in that answers at once"}
    with tempfile.TemporaryDirectory() as folder, cluster() as plane:
        # Short, so that some fall into the idle time: each must be free of requests.
        results["resync_seconds"] = max(2.0, min(60.0, idle_seconds / 5))
        with rig(plane, Path(folder), resync_seconds=results["resync_seconds"]) as running:
            say(f"{number} workspaces at once")
            results["flood"] = operator_measure.flood(running, number)
            results["memory_mib"] = running.operator.memory()
            say(f"{idle_seconds:.0f} idle seconds, a resync every {results['resync_seconds']:.0f}")
            results["idle"] = operator_measure.idle(running, idle_seconds)
            say(f"{singles} workspaces one by one")
            results["single_ms"] = operator_measure.single(running, singles)
            say("a restart of the API server")
            results["restart"] = operator_measure.restart(running)
            results["memory_at_the_end_mib"] = running.operator.memory()
            template = operator_measure.objects_of_one(plane, "load-0000")
    results["objects_per_workspace"] = len(template)
    say("the bare loop")
    with cluster() as plane:
        results["bare_loop"] = operator_measure.referee(plane, template, "load-0000", number)
    return results


def verdicts(results: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Each target: what, measured, promised, kept."""
    idle = results["idle"]
    found = {
        "ratio": results["flood"]["seconds"] / results["bare_loop"]["seconds"],
        "single_p99_ms": results["single_ms"]["p99"],
        "resident_mib": results["memory_mib"]["resident"],
        "idle_writes": float(idle["writes"]),
        "idle_reads": float(idle["operator_reads"]),
    }
    names = {
        "ratio": "all Ready, in times of the bare loop",
        "single_p99_ms": "a single one on the idle system, p99 ms",
        "resident_mib": "operator's memory with all of them, MiB",
        "idle_writes": f"writes in {idle['minutes']:.1f} idle minutes",
        "idle_reads": "reads of the operator in that time",
    }
    return [
        (names[key], f"{value:.2f}", f"{TARGETS[key]:g}", "yes" if value <= TARGETS[key] else "NO")
        for key, value in found.items()
    ]


def sections(results: dict[str, Any]) -> list[Section]:
    """The page's tables."""
    flood, bare = results["flood"], results["bare_loop"]
    promised = Section(
        "Targets", "Measured against what is promised.", ("what", "measured", "at most", "kept"), verdicts(results)
    )
    load = Section(
        f"{flood['workspaces']} workspaces from kubectl apply to Ready",
        f"{results['objects_per_workspace']} objects each, the Workspace included; {results['concurrency']} at a time. "
        "A workspace waits from its creation to Ready, most of it for its turn.",
        ("who", "seconds", "objects/s", "client CPU s", "resident MiB", "waits p50/p99 s"),
        [
            ("bare loop", *rates(bare["seconds"], bare["objects"], bare["cpu_seconds"], bare["resident_mib"]), "-"),
            (
                "operator",
                *rates(
                    flood["seconds"], bare["objects"], flood["operator_cpu_seconds"], results["memory_mib"]["highest"]
                ),
                f"{flood['ready_ms']['p50'] / 1000:.1f} / {flood['ready_ms']['p99'] / 1000:.1f}",
            ),
        ],
    )
    return [promised, load, details(results)]


def rates(seconds: float, objects: int, cpu: float, mib: float) -> tuple[str, str, str, str]:
    return f"{seconds:.1f}", f"{objects / seconds:.0f}", f"{cpu:.1f}", f"{mib:.0f}"


def details(results: dict[str, Any]) -> Section:
    """Everything else that is worth a line."""
    flood, idle, again, single = results["flood"], results["idle"], results["restart"], results["single_ms"]
    rows = [
        ("writes of the operator for a workspace, status included", f"{flood['writes_per_workspace']:.2f}"),
        ("reads of the operator for a workspace", f"{flood['reads_per_workspace']:.2f}"),
        ("CPU of the platform's stand-in during the flood, s", f"{flood['platform_cpu_seconds']:.1f}"),
        ("kubectl apply itself, s", f"{flood['kubectl_seconds']:.1f}"),
        ("idle: reads of tenants' objects by anybody", str(idle["reads"])),
        ("idle: CPU of the operator", f"{idle['operator_cpu_share']:.2%}"),
        (f"one by one ({single['samples']}): p50 / p99 / max ms",
         f"{single['p50']:.0f} / {single['p99']:.0f} / {single['max']:.0f}"),
        ("API server killed: away for, s", f"{again['away_seconds']:.1f}"),
        ("then a new workspace is Ready after, s", f"{again['ready_seconds']:.1f}"),
        ("writes after that, the new workspace's included", str(again["writes"])),
        ("lists after that", str(again["lists"])),
        ("memory that is the operator's alone at the end, MiB", f"{results['memory_at_the_end_mib']['own']:.0f}"),
    ]  # fmt: skip
    says = f"A resync every {results['resync_seconds']:.0f} s compares in memory; requests are the API server's count."
    return Section("In detail", says, ("what", "figure"), rows)


def write(results: dict[str, Any], shown: list[Section]) -> None:
    """Store the raw results beside the page that shows them."""
    raw = f"operator-{datetime.now(UTC):%Y-%m-%d}.json"
    (PAGES / raw).write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2))
    (PAGES / "operator.md").write_text(report.page(results["machine"], raw, shown, head=HEAD))


if __name__ == "__main__":
    typer.run(main)
