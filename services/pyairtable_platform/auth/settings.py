"""Settings of the auth service."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from pyairtable_platform.common.kubernetes_api import KubernetesSettings
from pyairtable_platform.common.settings import (
    DatabaseSettings,
    RedisSettings,
    ServiceSettings,
    UsersPeer,
    WorkspacesPeer,
    comma_separated,
)

from .accounts.rules import folded_email
from .accounts.settings import AccountSettings

DEVELOPMENT_SECRET = "for development only"  # noqa: S105 - ENVIRONMENT=production refuses it
SHORTEST_SECRET = 32


class Settings(
    ServiceSettings, DatabaseSettings, RedisSettings, KubernetesSettings, WorkspacesPeer, UsersPeer, AccountSettings
):
    """What the auth service can be told."""

    http_port: int = Field(default=8004, ge=0, le=65535)
    grpc_port: int = Field(default=9004, ge=0, le=65535)

    jwt_secret: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    """Seals the keys that sign identity tokens where they lie in PostgreSQL. The same for all replicas, for ever: with
    another one the keys cannot be opened, and the service says so instead of becoming ready."""

    admin_emails: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated e-mail addresses of those who administer this installation, once they have proved them."""

    @field_validator("admin_emails", mode="before")
    @classmethod
    def split_admins(cls, value: object) -> object:
        return comma_separated(value)

    def admins(self) -> frozenset[str]:
        """The addresses of administrators, as they are compared."""
        return frozenset(map(folded_email, self.admin_emails))

    def faults_in_production(self) -> list[str]:
        """It verifies what it signs by itself, so that AUTH_TARGET means nothing to it."""
        faults = [fault for fault in super().faults_in_production() if "AUTH_TARGET" not in fault]
        if len(self.jwt_secret.get_secret_value()) < SHORTEST_SECRET:
            faults.append(f"needs JWT_SECRET of at least {SHORTEST_SECRET} characters")
        return faults
