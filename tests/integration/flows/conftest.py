"""One installation for all tests of the package, which share it: with names and people of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration.flows.installation import Installation, running_installation


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with running_installation() as running:
        yield running
