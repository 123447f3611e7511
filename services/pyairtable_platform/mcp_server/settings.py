"""Settings of the tool server."""

from __future__ import annotations

from pydantic import Field, SecretStr, ValidationInfo, field_validator

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


class StdioSettings(Settings):
    """What `pyairtable-platform mcp-stdio` can be told: it serves one client, as whoever holds the key."""

    pyairtable_api_key: SecretStr | None = None
    """A workspace's access key (pya_...) or a person's API key (pyu_...) for `mcp-stdio`, which may then do what its
    holder may. Without it `mcp-stdio` shows API_KEY."""

    def lack_of_credentials(self) -> str:
        if self.pyairtable_api_key is not None or not super().lack_of_credentials():
            return ""
        return "set PYAIRTABLE_API_KEY to an access key of a workspace or an API key of yours"

    def shown_key(self) -> str | None:
        """What our calls show."""
        key = self.pyairtable_api_key or self.api_key
        return key.get_secret_value() if key else None
