"""What arrives at Airtable when the gateway is flooded: one, two and four processes that share one Valkey.

    .venv/bin/python tests/benchmarks/flood.py --seconds 20 --profile realistic

The emulator's own log is the witness: calls a second, the most in any sliding second, refusals, and the spread of the
gaps between arrivals.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import httpx2
import orjson
import typer
import yaml

from pyairtable_devkit.airtable.testing import BASE, TOKEN_ALL, EmulatorControl
from pyairtable_devkit.databases import Postgres, Valkey
from pyairtable_devkit.ports import free_port
from pyairtable_devkit.processes import Child
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import PyAirtableError
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2_grpc

START_SECONDS = 60.0
CALLERS_PER_GATEWAY = 25
WARM_UP_SECONDS = 3.0
TABLE = "Contacts"

_PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Cluster:
    """Running gateways before one emulator."""

    emulator: EmulatorControl
    targets: tuple[str, ...]
    http_urls: tuple[str, ...]


@contextmanager
def cluster(gateways: int, *, profile: str = "zero", **settings: str) -> Iterator[Cluster]:
    """So many gateway processes on one Valkey and one PostgreSQL, before an emulator with Airtable's limits."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own, who must be able to pass
        valkey = stack.enter_context(Valkey.start())
        postgres = stack.enter_context(Postgres.start())
        ports = [free_port() for _ in range(3 + 2 * gateways)]
        common = {
            "PATH": os.environ["PATH"],
            "LOG_LEVEL": "WARNING",
            "OPEN_ACCESS": "true",  # who calls is measured elsewhere (identity.py)
            "REDIS_URL": valkey.url,
            "DATABASE_URL": postgres.url,
            "WORKSPACES_TARGET": f"127.0.0.1:{ports[2]}",
            "WORKSPACES_PATH": str(_workspace_file(folder)),
            "AIRTABLE_API_URL": f"http://127.0.0.1:{ports[0]}",
            "AIRTABLE_TOKEN": TOKEN_ALL,
            "GATEWAY_REPLICAS": str(gateways),
            **settings,
        }
        platform = _PROGRAMS / "pyairtable-platform"
        _run_to_end(stack, "migrate", [platform, "migrate"], folder, common)
        emulator: list[str | Path] = [
            _PROGRAMS / "pyairtable-devkit",
            "airtable",
            "--port",
            str(ports[0]),
            "--profile",
            profile,
        ]
        _start(stack, "emulator", emulator, folder, common)
        _serve(stack, "workspaces", folder, common, ports[1], ports[2])
        pairs = list(zip(ports[3::2], ports[4::2], strict=True))
        for number, (http_port, grpc_port) in enumerate(pairs):
            _serve(stack, "airtable-gateway", folder, common, http_port, grpc_port, number)
        urls = tuple(f"http://127.0.0.1:{http_port}" for http_port, _ in pairs)
        for url in urls:
            _wait_for(f"{url}/ready")
        control = EmulatorControl(f"http://127.0.0.1:{ports[0]}")
        stack.callback(control.close)
        yield Cluster(control, tuple(f"127.0.0.1:{grpc_port}" for _, grpc_port in pairs), urls)


async def flood(gateways: int, *, seconds: float = 20.0, profile: str = "zero") -> dict[str, Any]:
    """Flood so many gateway processes and tell what arrived at the emulator.

    Keys: gateways, profile, calls, per_second, peak_in_a_second, refused_429, failed_calls, and gap_ms with the 1st,
    50th and 99th percentile of the time between arrivals.
    """
    with cluster(gateways, profile=profile) as running:
        async with _stubs(running.targets) as stubs:
            record_id = await _some_record(*stubs[0])
            await asyncio.sleep(1.1)
            since = len(running.emulator.log())
            started = time.monotonic()
            failed = await _press(stubs, record_id, started + WARM_UP_SECONDS + seconds)
        entries = [entry for entry in running.emulator.log() if entry["number"] > since and entry["base"] == BASE]
    steady = [entry["arrived"] for entry in entries if entry["arrived"] > started + WARM_UP_SECONDS]
    return {
        "gateways": gateways,
        "profile": profile,
        "calls": len(entries),
        "per_second": round(rate(steady), 3),
        "peak_in_a_second": peak([entry["arrived"] for entry in entries]),
        "refused_429": sum(entry["status"] == 429 for entry in entries),
        "failed_calls": failed,
        "gap_ms": _percentiles([(later - earlier) * 1000 for earlier, later in pairwise(steady)]),
    }


async def read_overhead(*, calls: int = 200) -> dict[str, Any]:
    """Milliseconds of a record read directly from the emulator, and of the same through the gateway over gRPC."""
    unpaced = {"AIRTABLE_CALLS_PER_SECOND_PER_BASE": "100", "AIRTABLE_CALLS_PER_SECOND_PER_TOKEN": "1000"}
    with cluster(1, **unpaced) as running:
        running.emulator.settings(limits=False)
        async with _stubs(running.targets) as stubs:
            channel, stub = stubs[0]
            record_id = await _some_record(channel, stub)
            request = rpc.GetRecordRequest(base_id=BASE, table_id=TABLE, record_id=record_id)
            through = await _timed(lambda: channel.call(stub.GetRecord, request), calls)
        async with httpx2.AsyncClient(base_url=running.emulator.url, headers=running.emulator.auth()) as client:
            direct = await _timed(lambda: client.get(f"/v0/{BASE}/{TABLE}/{record_id}"), calls)
    overhead = round(statistics.median(through) - statistics.median(direct), 2)
    return {"direct_ms": _percentiles(direct), "gateway_ms": _percentiles(through), "overhead_ms": overhead}


def rate(moments: Sequence[float], limit: int = 5) -> float:
    """Moments a second, measured from one place in the second's pattern to the same place much later."""
    rounds = (len(moments) - 1) // limit
    spans = [moments[first + rounds * limit] - moments[first] for first in range(len(moments) - rounds * limit)]
    return rounds * limit / statistics.mean(spans)


def peak(moments: Sequence[float]) -> int:
    """The most of these moments within any second."""
    times, most, first = sorted(moments), 0, 0
    for last, moment in enumerate(times):
        while moment - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


async def _press(stubs: Sequence[tuple[ServiceChannel, Any]], record_id: str, until: float) -> int:
    """Call without a pause until then; returns how many calls failed."""
    request = rpc.GetRecordRequest(base_id=BASE, table_id=TABLE, record_id=record_id)
    failed = 0

    async def caller(channel: ServiceChannel, stub: Any) -> None:
        nonlocal failed
        while (left := until - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await channel.call(stub.GetRecord, request, timeout=60)
            except TimeoutError:
                return
            except PyAirtableError:
                failed += 1

    await asyncio.gather(*(caller(*pair) for pair in stubs for _ in range(CALLERS_PER_GATEWAY)))
    return failed


async def _some_record(channel: ServiceChannel, stub: Any) -> str:
    listing = rpc.ListRecordsRequest(base_id=BASE, table_id=TABLE, page_size=1)
    return str((await channel.call(stub.ListRecords, listing)).records[0].id)


async def _timed(call: Any, times: int) -> list[float]:
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        await call()
        spent.append((time.perf_counter() - started) * 1000)
    return spent


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"p1": round(cuts[0], 2), "p50": round(cuts[49], 2), "p99": round(cuts[98], 2)}


@asynccontextmanager
async def _stubs(targets: Sequence[str]) -> AsyncIterator[list[tuple[ServiceChannel, Any]]]:
    async with contextlib.AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(ServiceChannel(target)) for target in targets]
        yield [
            (channel, airtable_gateway_service_pb2_grpc.AirtableGatewayServiceStub(channel.channel))
            for channel in channels
        ]


def _workspace_file(folder: Path) -> Path:
    bases = [{"name": "crm", "baseId": BASE, "access": "Schema", "default": True}]
    document = {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": "acme"},
        "spec": {"airtable": {"bases": bases}},
    }
    file = folder / "workspace.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def _serve(
    stack: ExitStack, name: str, folder: Path, env: dict[str, str], http_port: int, grpc_port: int, number: int = 0
) -> None:
    own = {"HTTP_PORT": str(http_port), "GRPC_PORT": str(grpc_port), "SHUTDOWN_GRACE_SECONDS": "1"}
    command: list[str | Path] = [_PROGRAMS / "pyairtable-platform", "serve", name]
    _start(stack, f"{name}-{number}", command, folder, env | own)


def _start(stack: ExitStack, name: str, command: Sequence[str | Path], folder: Path, env: dict[str, str]) -> Child:
    child = Child.start(name, command, log_path=folder / f"{name}.log", env=env)
    stack.callback(child.stop)
    return child


def _run_to_end(stack: ExitStack, name: str, command: Sequence[str | Path], folder: Path, env: dict[str, str]) -> None:
    child = _start(stack, name, command, folder, env)
    while child.exit_code() is None:
        time.sleep(0.05)
    if child.exit_code() != 0:
        raise RuntimeError(f"{name} failed: {child.log_tail()}")


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(url, trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"{url} did not become ready within {START_SECONDS:.0f} s")


def main(
    gateways: Annotated[list[int] | None, typer.Option(help="Numbers of processes to flood.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of each flood.")] = 20.0,
    profile: Annotated[str, typer.Option(help="The emulator's latency: zero or realistic.")] = "zero",
    overhead: Annotated[bool, typer.Option(help="Also measure the overhead of a read.")] = False,
) -> None:
    """Flood and print one JSON line for each number of processes."""
    for number in gateways or [1, 2, 4]:
        print(orjson.dumps(asyncio.run(flood(number, seconds=seconds, profile=profile))).decode(), flush=True)
    if overhead:
        print(orjson.dumps(asyncio.run(read_overhead())).decode(), flush=True)


if __name__ == "__main__":
    typer.run(main)
