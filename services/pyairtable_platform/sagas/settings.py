"""Settings of the saga service."""

from __future__ import annotations

from pydantic import Field

from pyairtable_platform.common.settings import (
    AirtableGatewayPeer,
    DatabaseSettings,
    ServiceSettings,
    UsersPeer,
    WorkspacesPeer,
)


class Settings(UsersPeer, WorkspacesPeer, AirtableGatewayPeer, DatabaseSettings, ServiceSettings):
    """What the saga service can be told."""

    http_port: int = Field(default=8008, ge=0, le=65535)
    grpc_port: int = Field(default=9008, ge=0, le=65535)
