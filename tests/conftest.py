"""For all tests: properties are judged by what they find, never by how long the machine took for an example; and what
takes longest begins first, so that no worker is left with it at the end. What a test has to tell is printed last.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import hypothesis
import pytest

# Tests of what is inside the services make them without an API_KEY; those of access say what they set.
os.environ.setdefault("OPEN_ACCESS", "true")

hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

LONGEST_FIRST = (
    "tests/integration/demo/",
    "tests/e2e/openapi/",
    "tests/cluster/faults/",
    "tests/integration/devkit/test_cluster",
    "tests/cluster/system/",
    "tests/e2e/",
    "tests/chart/",
    "tests/cluster/",
    "tests/integration/airtable_gateway/test_gateway_limits",
    "tests/integration/",
)
"""Begins of paths. Modules are handed out whole and in this order (--no-loadscope-reorder); the rest follows."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=turn_of)


def turn_of(item: pytest.Item) -> int:
    return next((turn for turn, begin in enumerate(LONGEST_FIRST) if item.nodeid.startswith(begin)), len(LONGEST_FIRST))


TOLD_AT_THE_END = "told at the end"
"""A property of a test (`record_property`): a line for whoever reads the end of the output."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in told(report for reports in terminalreporter.stats.values() for report in reports):
        terminalreporter.write_line(line)


def told(reports: Iterable[object]) -> list[str]:
    """The lines in the reports of tests; workers send theirs with what they report."""
    return [
        str(line)
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, line in report.user_properties
        if name == TOLD_AT_THE_END
    ]
