"""Settings of the user service."""

from __future__ import annotations

from pydantic import Field

from pyairtable_platform.common.settings import (
    DatabaseSettings,
    LlmOrchestratorPeer,
    RedisSettings,
    SagasPeer,
    ServiceSettings,
    WorkspacesPeer,
)


class Settings(SagasPeer, LlmOrchestratorPeer, WorkspacesPeer, RedisSettings, DatabaseSettings, ServiceSettings):
    """What the user service can be told."""

    http_port: int = Field(default=8005, ge=0, le=65535)
    grpc_port: int = Field(default=9005, ge=0, le=65535)
