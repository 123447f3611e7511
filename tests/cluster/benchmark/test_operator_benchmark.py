"""The operator's benchmark runs, measures what it says and judges by it; with few workspaces, and no claim on time."""

from __future__ import annotations

import pytest
from benchmarks import operator_run
from kubernetes_kit.plane import require_programs

pytestmark = [pytest.mark.cluster, pytest.mark.torture, pytest.mark.timeout(600)]

WORKSPACES = 6


def test_a_small_run_has_every_figure() -> None:
    require_programs()
    said: list[str] = []
    results = operator_run.measure(WORKSPACES, 3.0, 2, said.append)
    assert results["flood"]["workspaces"] == WORKSPACES
    assert results["bare_loop"]["objects"] == WORKSPACES * results["objects_per_workspace"]
    assert results["flood"]["writes_per_workspace"] >= results["objects_per_workspace"] - 1
    assert results["single_ms"]["samples"] == 2
    kept = {row[0]: row[3] for row in operator_run.verdicts(results)}
    idle = results["idle"]
    assert (idle["operator_writes"], idle["operator_reads"], idle["writes"]) == (0, 0, 0), idle
    assert results["restart"]["ready_seconds"] > 0
    assert len(operator_run.sections(results)) == 3
    assert len(kept) == 5
    assert len(said) == 5
