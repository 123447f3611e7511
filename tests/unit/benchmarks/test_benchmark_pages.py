"""What `make bench` makes of its figures: tables, and a page that keeps what was not measured anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from benchmarks import accounts_report, cpu, report, run, stored

MACHINE = {
    "when": "2026-11-23 10:00 UTC",
    "commit": "abc1234",
    "cpu": "A processor",
    "cores": 2,
    "memory_gib": 24,
    "system": "Linux 6",
    "python": "3.11.7",
    "packages": {"grpcio": "1.85.1"},
    "load_average": 0.4,
}
TIMED = {"median_ms": 4.0, "p95_ms": 9.0, "max_ms": 12.0, "samples_ms": [4.0, 4.0, 9.0]}
LOGIN = {
    "argon2": {"wall_ms": 100.0, "cpu_ms": 150.0},
    "runs": [{"way": "gRPC", "callers": 8, "calls": 3, "per_second": 9.5, "cpu_ms": {"auth": 200.0}, **TIMED}],
}


def identity(share: float) -> dict[str, Any]:
    read = {**TIMED, "gateway_cpu_ms": 3.5}
    return {
        "reads": {"a record": {"without": read, "with": read}},
        "border_us": {"API_KEY": 100.0, "identity token, seen before": 160.0},
        "forwarding_us": {"without": 2.0, "with an identity": 4.0},
        "added_us": 62.0,
        "share": share,
        "share_of_cpu": 0.018,
    }


def registry() -> dict[str, Any]:
    enforced = {"doors": {"gateway": TIMED, "door": TIMED}, "change": TIMED, "being_changed": 1}
    return {
        "workspaces": 1000,
        "applied": {"seconds": 5.0, **TIMED},
        "enforced": {"member removed": enforced},
        "reader": {
            "workspaces": 2000,
            "snapshot": TIMED,
            "bytes": 204_800,
            "apply_ms": 12.0,
            "apply_change_ms": 0.04,
            "memory_kib": 3000.0,
        },
    }


def test_the_part_of_argon2_in_a_login() -> None:
    section = accounts_report.login_section(LOGIN)
    assert section.rows == [("gRPC, 8 at once", "9.5", "4", "9", "200", "75%")]
    assert "150 ms of CPU" in section.says


@pytest.mark.parametrize(("share", "said"), [(0.006, "0.6% of a read"), (0.006, "within"), (0.031, "above")])
def test_an_identity_is_held_against_the_target(share: float, said: str) -> None:
    assert said in accounts_report.identity_sections(identity(share))[0].says


def test_reads_stand_with_and_without_an_identity() -> None:
    rows = accounts_report.identity_sections(identity(0.006))[1].rows
    assert rows == [
        ("a record, without an identity", "4.00", "9.00", "3.50"),
        ("a record, with an identity", "4.00", "9.00", "3.50"),
    ]


def test_questions_of_credentials_are_told_in_microseconds() -> None:
    one = {"questions": 10, **TIMED, "cpu_ms": {"auth": 1.5, "postgres": 0.25, "here": 0.0041}}
    section = accounts_report.authorize_section({"access key, never seen": one})
    assert section.rows == [("access key, never seen", "4.000", "9.000", "4.1", "1,500", "250")]


def test_steps_a_second_follow_from_sagas() -> None:
    saga = {"type": "workspace_creation", "steps": 3, "callers": 8, "per_second": 20.0, **TIMED}
    run = {**saga, "cpu_ms": {"sagas": 20.0, "postgres": 10.0, "all": 50.0}}
    section = accounts_report.sagas_section({"idle_cpu_ms": {"sagas": 40.0, "postgres": 15.0}, "runs": [run]})
    assert "uses 40 ms of CPU a second" in section.says
    assert section.rows == [
        ("workspace_creation (3 steps), 8 at once", "20.0", "60", "4", "9", "20", "10", "50"),
    ]


def test_each_door_has_its_delay() -> None:
    enforced, reader = accounts_report.registry_sections(registry())
    assert enforced.rows == [
        ("member removed, refused at the gateway", "4", "9", "12", "4"),
        ("member removed, refused at the door", "4", "9", "12", "4"),
    ]
    assert reader.rows[-1] == ("memory of a reader for 1,000 workspaces, KiB", "1500")
    assert all(len(row) == len(section.columns) for section in (enforced, reader) for row in section.rows)


def test_what_was_not_measured_keeps_its_figures_and_their_date(tmp_path: Path) -> None:
    earlier = {**MACHINE, "when": "2026-11-01 10:00 UTC", "cpu": "Another", "load_average": None}
    stored.write(tmp_path, {"sections": {"login": {"measured": earlier, "figures": LOGIN}}})
    measured = {"identity": {"measured": MACHINE, "figures": identity(0.006)}}
    results = stored.merged(stored.newest(tmp_path), measured)
    page = report.page(MACHINE, stored.write(tmp_path, results), run.sections_of(results, MACHINE))
    assert "## Logging in" in page
    assert "Measured 2026-11-01 10:00 UTC, commit abc1234, load average not noted, on Another." in page
    assert "Measured 2026-11-23 10:00 UTC, commit abc1234, load average 0.4 before it." in page
    assert stored.newest(tmp_path) == results


def test_the_first_run_needs_no_results(tmp_path: Path) -> None:
    assert stored.merged(stored.newest(tmp_path), {"login": 1}) == {"sections": {"login": 1}}


def test_sections_are_measured_in_their_order() -> None:
    assert run.chosen(["registry", "flood", "accounts"]) == ["flood", *run.ACCOUNTS]
    with pytest.raises(typer.BadParameter, match="no section logins"):
        run.chosen(["logins"])


def test_a_process_that_ended_costs_nothing() -> None:
    before = {1: ("auth", 2.0), 2: ("postgres", 5.0), 3: ("postgres", 1.0)}
    after = {1: ("auth", 2.5), 3: ("postgres", 1.25), 4: ("postgres", 0.5)}
    assert cpu.difference(before, after) == {"auth": 0.5, "postgres": 0.75}
    assert cpu.Spent(cpu.difference(before, after)).milliseconds_each(10, "auth") == 50.0
