"""One running system, started as `make up` does, for the tests of a module."""

from collections.abc import Iterator

import pytest
from integration.demo.running import UP, RunningCommand, start


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCommand]:
    """The whole system on ports of its own."""
    running = start(tmp_path_factory.mktemp("system"), "up")
    try:
        running.wait_for(UP)
        yield running
    finally:
        running.interrupt()
