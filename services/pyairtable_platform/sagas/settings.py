"""Settings of the saga service."""

from __future__ import annotations

import platform

from pydantic import Field

from pyairtable_platform.common.settings import (
    AirtableGatewayPeer,
    DatabaseSettings,
    LlmOrchestratorPeer,
    RedisSettings,
    ServiceSettings,
    UsersPeer,
    WorkspacesPeer,
)


class Settings(
    UsersPeer,
    WorkspacesPeer,
    AirtableGatewayPeer,
    LlmOrchestratorPeer,
    RedisSettings,
    DatabaseSettings,
    ServiceSettings,
):
    """What the saga service can be told."""

    http_port: int = Field(default=8008, ge=0, le=65535)
    grpc_port: int = Field(default=9008, ge=0, le=65535)

    executor_id: str = Field(default_factory=platform.node, pattern=r"^[A-Za-z0-9._-]{1,63}$")
    """Name of this replica: the same over its restarts, and no other's. Not set: the name of the machine or pod."""

    lease_seconds: float = Field(default=15, ge=0.5, le=300)
    """How long a replica may be silent before its sagas are taken up by another one."""

    sagas_at_once: int = Field(default=50, ge=1, le=1000)
    """How many sagas a replica carries out at a time; others wait for their turn."""

    keep_sagas_days: int = Field(default=90, ge=0, le=3650)
    """Sagas that were completed or undone are deleted after so many days; 0 keeps them. Failed ones stay."""
