"""Killed while a workspace is made."""

from __future__ import annotations

import pytest
from kubernetes_kit.operations import Runs

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

WRITES = {"create": 16}
PLATFORM_WRITES = {"create": 2}
AFTER = ("create",)


def test_the_tables_are_true(runs: Runs, name: str) -> None:
    runs.check_tables(name, WRITES[name], PLATFORM_WRITES[name])


def test_killed_at_a_write(runs: Runs, name: str, number: int, answered: bool) -> None:
    runs.kill(name, number, answered=answered)


def test_killed_at_a_call_of_the_platform(runs: Runs, name: str, number: int) -> None:
    runs.kill_at_platform(name, number)
