"""Typed settings from the environment, the same way in every service.

One frozen class per process, built once by `load`; nothing else reads the environment. Names are those of
docs/configuration.md, without a prefix.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

S = TypeVar("S", bound="ServiceSettings")

SHORTEST_API_KEY = 16

COMMON = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)
"""What all settings classes have in common; the docstring under a field is its text in docs/configuration.md."""


class ServiceSettings(BaseSettings):
    """What every service can be told. A service adds its own fields and overrides the ports."""

    model_config = COMMON

    environment: Literal["development", "production"] = "development"
    """`production` refuses to start open: it needs API_KEY and AUTH_TARGET (auth itself JWT_SECRET)."""

    open_access: bool = False
    """For development: callers on this machine need no credential, while no API_KEY is set. A process that has neither
    does not start."""

    debug: bool = False
    """Log at DEBUG whatever LOG_LEVEL says. Never changes what callers see."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe level that is logged."""

    host: str = "127.0.0.1"
    """Address to listen on. OPEN_ACCESS serves callers of this machine only, wherever it listens."""

    http_port: int = Field(default=0, ge=0, le=65535)
    """REST, /health, /ready and /metrics. 0 takes a free port."""

    grpc_port: int = Field(default=0, ge=0, le=65535)
    """gRPC. 0 takes a free port."""

    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated Host values that callers may use beside names of this machine, for example `mcp.example.com` or
    `mcp-server:*` for any port. Others are refused: a web page must not reach us by a name of its own."""

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated origins of web pages that may call this process directly, for example `https://example.com`."""

    api_key: SecretStr | None = None
    """Proves services and operators to each other, as x-api-key: the same for all of an installation, at least 16
    characters in production. Callers show it or a credential of their own (docs/access.md)."""

    auth_target: str = ""
    """The auth service over gRPC, as HOST:PORT. Empty: there is none, and no workspace's credential is taken."""

    enable_metrics: bool = True
    """Serve Prometheus metrics at /metrics."""

    tracing_enabled: bool = False
    """Send spans by OTLP to OTEL_EXPORTER_OTLP_ENDPOINT."""

    otel_exporter_otlp_endpoint: str = "http://127.0.0.1:4317"
    """Where spans go (OTLP over gRPC)."""

    request_timeout_seconds: float = Field(default=60, gt=0, le=3600)
    """Deadline of a call whose caller set none."""

    max_request_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    """Largest request body over HTTP, largest message over gRPC."""

    shutdown_delay_seconds: float = Field(default=0.2, ge=0, le=60)
    """Between going unready and refusing calls, so that load balancers notice."""

    shutdown_grace_seconds: float = Field(default=10, ge=0, le=300)
    """How long calls in progress may take to end on shutdown."""

    def browser_origins(self) -> tuple[str, ...]:
        """Origins of web pages that may call."""
        return self.allowed_origins

    def is_open(self) -> bool:
        """Whether callers on this machine need no credential."""
        return self.environment == "development" and self.open_access and self.api_key is None

    def lack_of_credentials(self) -> str:
        """What to set before this process can tell callers apart, or empty."""
        if self.api_key is not None or self.open_access:
            return ""
        return "set API_KEY, or for development on this machine OPEN_ACCESS=true: nothing is open without being told to"

    def faults_in_production(self) -> list[str]:
        """What stands against ENVIRONMENT=production, as ends of a sentence."""
        faults = []
        if self.open_access:
            faults.append("refuses OPEN_ACCESS")
        if self.api_key is None or len(self.api_key.get_secret_value()) < SHORTEST_API_KEY:
            faults.append(f"needs API_KEY of at least {SHORTEST_API_KEY} characters")
        if not self.auth_target:
            faults.append("needs AUTH_TARGET")
        return faults

    @field_validator("api_key")
    @classmethod
    def is_sendable(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value else ""
        if not all("!" <= character <= "~" for character in text):
            raise ValueError("must be of printable ASCII characters without blanks, because it travels in a header")
        if text.startswith(("pya_", "pyu_")):
            raise ValueError("must not begin with pya_ or pyu_, as the keys of workspaces and people do")
        return value

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def split_lists(cls, value: object) -> object:
        return comma_separated(value)


class CorsSettings(BaseSettings):
    """Browsers' access from other origins."""

    model_config = COMMON

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated origins that browsers may call from; empty is none."""

    @field_validator("cors_origins", mode="before")
    @classmethod
    def split(cls, value: object) -> object:
        return comma_separated(value)


class DatabaseSettings(BaseSettings):
    """PostgreSQL, by URL or by parts."""

    model_config = COMMON

    database_url: SecretStr | None = None
    """postgresql://USER:PASSWORD@HOST:PORT/DATABASE. Wins over the parts below."""

    postgres_host: str = "127.0.0.1"
    """Host, when DATABASE_URL is not set."""

    postgres_port: int = Field(default=5432, ge=1, le=65535)
    """Port, when DATABASE_URL is not set."""

    postgres_db: str = "pyairtable"
    """Database, when DATABASE_URL is not set."""

    postgres_user: str = "pyairtable"
    """User, when DATABASE_URL is not set."""

    postgres_password: SecretStr = SecretStr("")
    """Password, when DATABASE_URL is not set."""

    db_pool_size: int = Field(default=10, ge=2, le=500)
    """Connections that this process keeps to PostgreSQL; some processes use one of them to listen for changes."""

    def database_dsn(self) -> str:
        """The URL for SQLAlchemy with the asyncpg driver."""
        if self.database_url is None:
            user, password = (
                quote(self.postgres_user, safe=""),
                quote(self.postgres_password.get_secret_value(), safe=""),
            )
            host = f"{self.postgres_host}:{self.postgres_port}"
            return f"postgresql+asyncpg://{user}:{password}@{host}/{self.postgres_db}"
        return self.database_url.get_secret_value().replace("postgresql://", "postgresql+asyncpg://", 1)

    @field_validator("database_url")
    @classmethod
    def is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith("postgresql://"):
            raise ValueError("must begin with postgresql://")
        return value


class RedisSettings(BaseSettings):
    """Redis or Valkey."""

    model_config = COMMON

    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """redis:// or rediss:// URL."""

    redis_password: SecretStr | None = None
    """Password, when the URL holds none."""

    redis_pool_size: int = Field(default=20, ge=1, le=1000)
    """Connections that this process keeps at most."""

    def redis_dsn(self) -> str:
        """The URL with the password in it."""
        url = urlsplit(self.redis_url.get_secret_value())
        if self.redis_password is None or url.password is not None:
            return self.redis_url.get_secret_value()
        password = quote(self.redis_password.get_secret_value(), safe="")
        return urlunsplit(url._replace(netloc=f"{url.username or ''}:{password}@{url.netloc.rpartition('@')[2]}"))

    @field_validator("redis_url")
    @classmethod
    def is_redis(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("must begin with redis:// or rediss://")
        return value


class WorkspacesPeer(BaseSettings):
    """Where the workspace registry is."""

    model_config = COMMON

    workspaces_target: str = "127.0.0.1:9006"
    """The workspace registry over gRPC, as HOST:PORT."""


class AirtableGatewayPeer(BaseSettings):
    """Where the gateway to Airtable is."""

    model_config = COMMON

    airtable_gateway_target: str = "127.0.0.1:9002"
    """The gateway to Airtable over gRPC, as HOST:PORT."""


class McpServerPeer(BaseSettings):
    """Where the tool server is."""

    model_config = COMMON

    mcp_server_target: str = "127.0.0.1:9001"
    """The tool server over gRPC, as HOST:PORT."""


class UsersPeer(BaseSettings):
    """Where profiles are."""

    model_config = COMMON

    users_target: str = "127.0.0.1:9005"
    """The user service over gRPC, as HOST:PORT."""


class SagasPeer(BaseSettings):
    """Where sagas run."""

    model_config = COMMON

    sagas_target: str = "127.0.0.1:9008"
    """The saga service over gRPC, as HOST:PORT."""


class LlmOrchestratorPeer(BaseSettings):
    """Where chat is."""

    model_config = COMMON

    llm_orchestrator_target: str = "127.0.0.1:9003"
    """Chat over gRPC, as HOST:PORT."""


def load(cls: type[S]) -> S:
    """Read the settings; a wrong value ends the process with one sentence that names the variable."""
    try:
        settings = cls()
    except ValidationError as error:
        stop("; ".join(sentence(dict(item)) for item in error.errors(include_input=False, include_url=False)))
    if settings.environment == "production" and (faults := settings.faults_in_production()):
        stop(f"ENVIRONMENT=production {' and '.join(faults)}")
    if lack := settings.lack_of_credentials():
        stop(lack)
    return settings


def sentence(error: dict[str, object]) -> str:
    """One validation error in words, without the value: it may be a secret."""
    location = error["loc"]
    name = ".".join(str(part) for part in location).upper() if isinstance(location, tuple) else str(location)
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{name} is wrong: {text[:1].lower()}{text[1:]}"


def stop(text: str) -> NoReturn:
    """End the process because of its configuration (exit status 2, as for wrong arguments)."""
    print(f"configuration: {text}", file=sys.stderr)
    raise SystemExit(2)


def comma_separated(value: object) -> object:
    """For validators: a text with commas as a tuple."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def readable_folder(path: Path) -> Path:
    """For validators: a folder that is there."""
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}")
    return path
