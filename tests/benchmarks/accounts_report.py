"""Tables of what accounts cost: logins, credentials, identities, sagas, the registry of workspaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.report import Section

TARGET = 0.03
"""Of a read through the gateway: what an identity may add to a call (issue 5)."""


def login_section(results: Mapping[str, Any]) -> Section:
    argon2 = results["argon2"]
    rows = [
        (
            f"{run['way']}, {run['callers']} at once",
            f"{run['per_second']:.1f}",
            f"{run['median_ms']:.0f}",
            f"{run['p95_ms']:.0f}",
            f"{run['cpu_ms']['auth']:.0f}",
            f"{min(1.0, argon2['cpu_ms'] / run['cpu_ms']['auth']):.0%}",
        )
        for run in results["runs"]
    ]
    says = (
        f"One person, right password. A comparison of a password by itself takes {argon2['cpu_ms']:.0f} ms of CPU "
        f"({argon2['wall_ms']:.0f} ms on the clock): argon2id with 64 MiB and 3 passes in 4 lanes, dear on purpose. "
        "argon2 is its part of what auth spends on a login."
    )
    columns = ("way", "logins a second", "median ms", "p95 ms", "CPU ms of auth", "argon2")
    return Section("Logging in", says, columns, rows)


def authorize_section(results: Mapping[str, Any]) -> Section:
    rows = [
        (
            question,
            f"{one['median_ms']:.3f}",
            f"{one['p95_ms']:.3f}",
            *(microseconds(one["cpu_ms"][name] * 1000) for name in ("here", "auth", "postgres")),
        )
        for question, one in results.items()
    ]
    says = (
        "A service asks auth what a credential allows, and remembers the answer for 30 seconds. A person's access "
        "token that enters a workspace takes two questions."
    )
    columns = ("credential", "median ms", "p95 ms", "CPU µs of the service", "of auth", "of PostgreSQL")
    return Section("Authorize", says, columns, rows)


def identity_sections(results: Mapping[str, Any]) -> list[Section]:
    return [border_section(results), reads_section(results)]


def border_section(results: Mapping[str, Any]) -> Section:
    share = results["share"]
    kept = "within" if share < TARGET else "above"
    says = (
        f"An identity that was seen before adds {results['added_us']:.0f} µs of CPU to a call, both sides together: "
        f"{share:.1%} of a read of one record ({kept} the target of {TARGET:.0%}), {results['share_of_cpu']:.1%} of "
        "what such a read costs the gateway in CPU. Measured by itself: everything that happens to a call before and "
        "after a servicer that does nothing, without gRPC, and the making of what a caller sends along. A token is new "
        "once in half a minute for each caller and service."
    )
    rows = [(f"served: {name}", f"{cost:.0f}") for name, cost in results["border_us"].items()]
    rows += [(f"called: {name}", f"{cost:.0f}") for name, cost in results["forwarding_us"].items()]
    return Section("Identity of a call between services", says, ("what is shown", "CPU µs"), rows)


def reads_section(results: Mapping[str, Any]) -> Section:
    rows = []
    for kind, ways in results["reads"].items():
        for name, one in ways.items():
            timed = f"{one['median_ms']:.2f}", f"{one['p95_ms']:.2f}"
            rows.append((f"{kind}, {name} an identity", *timed, f"{one['gateway_cpu_ms']:.2f}"))
    says = "The same reads through the gateway over gRPC by a peer that calls for nobody and for somebody, in turns."
    columns = ("read", "median ms", "p95 ms", "CPU ms of gateway")
    return Section("Reads with and without an identity", says, columns, rows)


def sagas_section(results: Mapping[str, Any]) -> Section:
    idle = results["idle_cpu_ms"]
    rows = [
        (
            f"{run['type']} ({run['steps']} steps), {run['callers']} at once",
            f"{run['per_second']:.1f}",
            f"{run['per_second'] * run['steps']:.0f}",
            f"{run['median_ms']:.0f}",
            f"{run['p95_ms']:.0f}",
            *(f"{run['cpu_ms'].get(name, 0.0):.0f}" for name in ("sagas", "postgres", "all")),
        )
        for run in results["runs"]
    ]
    says = (
        "Started and waited for, with the real services behind the steps. CPU of a saga: of the saga service, of "
        "PostgreSQL, and of the whole system, which also writes audit and events and tells everybody of the workspace. "
        f"Without any saga the service uses {idle['sagas']:.0f} ms of CPU a second to look for some (PostgreSQL "
        f"{idle['postgres']:.0f} ms, for all services); that is in the figures."
    )
    columns = (
        "saga",
        "a second",
        "steps a second",
        "median ms",
        "p95 ms",
        "CPU ms",
        "of PostgreSQL",
        "of all",
    )
    return Section("Sagas", says, columns, rows)


def registry_sections(results: Mapping[str, Any]) -> list[Section]:
    return [enforced_section(results), reader_section(results)]


def enforced_section(results: Mapping[str, Any]) -> Section:
    rows = []
    for kind, one in results["enforced"].items():
        for door, delay in one["doors"].items():
            figures = (f"{delay[name]:.0f}" for name in ("median_ms", "p95_ms", "max_ms"))
            rows.append((f"{kind}, refused at the {door}", *figures, f"{one['change']['median_ms']:.0f}"))
    times = max(len(one["change"]["samples_ms"]) for one in results["enforced"].values())
    changing = sum(one["being_changed"] for one in results["enforced"].values())
    says = (
        f"{results['workspaces']:,} workspaces in the registry, {times} changes of each kind. From asking for the "
        "change (its own time beside it) to the first call of the person that is refused, while that person calls both "
        f"doors without a pause. {changing} answers in between said that the rights are being changed."
    )
    columns = ("change", "p50 ms", "p95 ms", "max ms", "the change itself, p50 ms")
    return Section("From the registry to the doors", says, columns, rows)


def reader_section(results: Mapping[str, Any]) -> Section:
    reader, applied = results["reader"], results["applied"]
    rows = [
        (f"declaring {results['workspaces']:,} workspaces, 8 at once, s", f"{applied['seconds']:.1f}"),
        ("a declaration, p50 / p95 ms", f"{applied['median_ms']:.1f} / {applied['p95_ms']:.1f}"),
        ("fresh snapshot, p50 / p95 ms", f"{reader['snapshot']['median_ms']:.0f} / {reader['snapshot']['p95_ms']:.0f}"),
        ("of it taking the message in, ms", f"{reader['apply_ms']:.1f}"),
        ("taking one change in, ms", f"{reader['apply_change_ms']:.3f}"),
        ("the snapshot on its way, KiB", f"{reader['bytes'] / 1024:.0f}"),
        ("memory of a reader for 1,000 workspaces, KiB", f"{reader['memory_kib'] * 1000 / reader['workspaces']:.0f}"),
    ]
    says = f"What it takes to follow a registry of {reader['workspaces']:,} workspaces, each with a base and an owner."
    return Section("Following the registry", says, ("what", "figure"), rows)


def microseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
