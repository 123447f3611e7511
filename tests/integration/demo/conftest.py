"""One running system for the tests of a module."""

from collections.abc import Iterator

import pytest
from integration.demo.running import UP, RunningCommand, start


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCommand]:
    """The whole system, up for the tests of a module; Ctrl-C must end it cleanly."""
    running = start(tmp_path_factory.mktemp("system"), "up")
    try:
        running.wait_for(UP)
        pids = running.children()
        yield running
    finally:
        code = running.interrupt()
    assert code == 0, running.output
    assert running.has_left_nothing(pids)
