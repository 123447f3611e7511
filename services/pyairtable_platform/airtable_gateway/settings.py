"""What the gateway can be told; docs/airtable-gateway.md says when to change it."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from pyairtable_platform.common.secret_sources import SecretSettings
from pyairtable_platform.common.settings import (
    DatabaseSettings,
    RedisSettings,
    ServiceSettings,
    WorkspacesPeer,
)

from .windows import Pace


class Settings(SecretSettings, WorkspacesPeer, DatabaseSettings, RedisSettings, ServiceSettings):
    """The environment of `airtable-gateway`."""

    http_port: int = Field(default=8002, ge=0, le=65535)
    """REST, /health, /ready and /metrics. 0 takes a free port."""

    grpc_port: int = Field(default=9002, ge=0, le=65535)
    """gRPC. 0 takes a free port."""

    airtable_api_url: str = "https://api.airtable.com"
    """Airtable's API, or an emulator of it."""

    airtable_content_url: str = "https://content.airtable.com"
    """Where attachment bytes go; with an emulator the same address as AIRTABLE_API_URL."""

    airtable_token: SecretStr | None = None
    """Airtable token of every workspace, when neither SECRETS_PATH nor SECRETS_NAMESPACE is set; else see
    SHARED_AIRTABLE_TOKEN."""

    shared_airtable_token: bool = False
    """Whether every workspace that names no secret uses AIRTABLE_TOKEN, also those that calls made, and although others
    name theirs. For demonstrations: everybody who may make a workspace can then bind every base of that token which no
    other workspace has. The same for `workspaces`, `airtable-gateway` and the operator."""

    airtable_timeout_seconds: float = Field(default=30, gt=0, le=600)
    """How long Airtable may take to answer one call."""

    airtable_largest_answer_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)
    """A larger answer of Airtable is refused."""

    airtable_calls_per_second_per_base: int = Field(default=5, ge=1, le=100)
    """Airtable's limit per base."""

    airtable_calls_per_second_per_token: int = Field(default=50, ge=1, le=1000)
    """Airtable's limit per user; lower it when other programs use tokens of the same user."""

    airtable_arrival_jitter_seconds: float = Field(default=0.04, ge=0.001, le=1)
    """How much longer than another a call may be under way to Airtable. More is safer and slower."""

    airtable_penalty_seconds: float = Field(default=30, ge=0.05, le=300)
    """How long Airtable refuses calls after a 429."""

    gateway_replicas: int = Field(default=1, ge=1, le=100)
    """The most gateway processes that run at once, surge included: their shares while Valkey is away."""

    longest_queue: int = Field(default=1000, ge=1, le=100_000)
    """Calls that may wait for one base in this process."""

    usage_flush_seconds: float = Field(default=1, gt=0, le=60)
    """How often counted calls are written to PostgreSQL."""

    @field_validator("airtable_api_url", "airtable_content_url")
    @classmethod
    def is_http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value

    def pace(self) -> Pace:
        """The limiter's numbers."""
        return Pace(
            base_limit=self.airtable_calls_per_second_per_base,
            token_limit=self.airtable_calls_per_second_per_token,
            jitter=self.airtable_arrival_jitter_seconds,
            replicas=self.gateway_replicas,
            penalty=self.airtable_penalty_seconds,
        )
