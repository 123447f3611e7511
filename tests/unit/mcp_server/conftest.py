"""The tool service over a gateway in memory."""

from __future__ import annotations

import pytest
from unit.mcp_server.fake_gateway import FakeGateway

from pyairtable_platform.mcp_server.service import ToolService


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def tools(gateway: FakeGateway) -> ToolService:
    return ToolService(gateway)
