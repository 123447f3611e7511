"""Settings of the tool server."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from pyairtable_platform.common.settings import AirtableGatewayPeer, ServiceSettings


class Settings(ServiceSettings, AirtableGatewayPeer):
    """What the tool server can be told."""

    http_port: int = Field(default=8001, ge=0, le=65535)
    grpc_port: int = Field(default=9001, ge=0, le=65535)

    mcp_conformance_fixtures: bool = False
    """Serve the tools, prompts and resources that the MCP conformance suite calls by name. Not in production."""

    @field_validator("mcp_conformance_fixtures")
    @classmethod
    def not_in_production(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("environment") == "production":
            raise ValueError("is for tests: ENVIRONMENT=production refuses it")
        return value
