"""For all tests: properties are judged by what they find, never by how long the machine took for an example; what takes
longest begins first, so that no worker is left with it at the end; what is dear to start is started once; and what a
test has to tell is printed last.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Tests of what is inside the services make them without an API_KEY; those of access say what they set.
os.environ.setdefault("OPEN_ACCESS", "true")

hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

TOGETHER = (
    "tests/cluster/system/",
    "tests/e2e/system/",
    "tests/cluster/admission/",
    "tests/chart/",
)
"""Begins of paths whose tests share a system or a control plane (fixtures of session scope): one worker takes all of
them, so that it is started once. All other tests are handed out by module.
"""

LONGEST_FIRST = (
    "tests/cluster/system/",
    "tests/e2e/system/",
    "tests/integration/demo/",
    "tests/cluster/faults/",
    "tests/e2e/",
    "tests/chart/",
    "tests/cluster/",
    "tests/integration/airtable_gateway/test_gateway_limits",
    "tests/integration/",
)
"""Begins of paths, handed out in this order (--no-loadscope-reorder); the rest follows."""


class ByHouse(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Hands out whole modules, and what stands TOGETHER as one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((begin for begin in TOGETHER if nodeid.startswith(begin)), super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return ByHouse(config, log)


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
