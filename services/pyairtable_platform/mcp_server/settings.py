"""Settings of the tool server."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from pyairtable_platform.common.settings import PeerSettings, ServiceSettings

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")


class Settings(ServiceSettings, PeerSettings):
    """What the tool server can be told."""

    http_port: int = Field(default=8001, ge=0, le=65535)
    grpc_port: int = Field(default=9001, ge=0, le=65535)

    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated Host values that MCP clients may use beside loopback ones, e.g. `mcp.example.com` or
    `mcp-server:*` for any port. Others are refused: a web page must not reach this server by a name of its own."""

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated origins of web pages that may use MCP beside those on this machine, e.g. `https://example.com`."""

    mcp_conformance_fixtures: bool = False
    """Serve the tools, prompts and resources that the MCP conformance suite calls by name. Not in production."""

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("mcp_conformance_fixtures")
    @classmethod
    def not_in_production(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("environment") == "production":
            raise ValueError("is for tests: ENVIRONMENT=production refuses it")
        return value
