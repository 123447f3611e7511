"""What the door can be told. docs/configuration.md lists it."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from pyairtable_platform.common.settings import (
    AirtableGatewayPeer,
    CorsSettings,
    LlmOrchestratorPeer,
    McpServerPeer,
    RedisSettings,
    SagasPeer,
    ServiceSettings,
    UsersPeer,
    WorkspacesPeer,
    comma_separated,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Settings(
    ServiceSettings,
    CorsSettings,
    RedisSettings,
    WorkspacesPeer,
    AirtableGatewayPeer,
    McpServerPeer,
    LlmOrchestratorPeer,
    UsersPeer,
    SagasPeer,
):
    """Settings of the api-gateway."""

    http_port: int = Field(default=8000, ge=0, le=65535)
    """REST under /api, the web chat at /, /health, /ready and /metrics. 0 takes a free port."""

    grpc_port: int = Field(default=9000, ge=0, le=65535)
    """gRPC for every service. 0 takes a free port."""

    request_timeout_seconds: float = Field(default=200, gt=0, le=3600)
    """Deadline of a call whose caller set none; a chat turn may take that long."""

    rate_limit_rpm: int = Field(default=1000, ge=0, le=1_000_000)
    """Calls a caller may make in any 60 seconds, over all replicas and over REST and gRPC together; 0 is no limit."""

    public_rate_limit_rpm: int = Field(default=60, ge=0, le=1_000_000)
    """Of these, calls that need no credential (register, log in, refresh), for one address, over all replicas; 0 is no
    limit of its own. The auth service counts wrong passwords besides."""

    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()
    """Comma-separated addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed; empty is none."""

    https_enabled: bool = False
    """Callers reach the door over HTTPS (an ingress ends it): tell browsers to insist on it (HSTS)."""

    health_timeout_seconds: float = Field(default=2.5, gt=0, le=30)
    """How long /api/health waits for each service behind the door."""

    @field_validator("cors_origins")
    @classmethod
    def are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if "*" in origin:
                raise ValueError("list the origins: with * every web page could use this door as its visitor")
            url = urlsplit(origin)
            if url.scheme not in ("http", "https") or not url.netloc or origin != f"{url.scheme}://{url.netloc}":
                raise ValueError("write origins as https://app.example.com, without a path")
        return value

    def browser_origins(self) -> tuple[str, ...]:
        return (*self.allowed_origins, *self.cors_origins)

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def split_networks(cls, value: object) -> object:
        return comma_separated(value)
