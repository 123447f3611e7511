"""Settings of the operator, from the environment; nothing else reads it.

The docstring under a field is its text in docs/configuration.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What the operator can be told."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe level that is logged."""

    host: str = "127.0.0.1"
    """Address of /healthz, /readyz and /metrics."""

    http_port: int = Field(default=8080, ge=0, le=65535)
    """Port of /healthz, /readyz and /metrics. 0 takes a free port."""

    kubeconfig: Path | None = None
    """A kubeconfig file; without it the service account of the pod is used."""

    operator_namespace: str = Field(default="pyairtable-system", min_length=1, max_length=63)
    """Where the operator's Lease lies and where the platform's pods run."""

    credentials_namespace: str = Field(default="pyairtable-credentials", min_length=1, max_length=63)
    """Where the Secrets with Airtable tokens and model keys lie. Their content is never kept."""

    pod_name: str = Field(default="pyairtable-operator-local", min_length=1, max_length=253)
    """Identity in the Lease: unique among the replicas."""

    workspaces_target: str = "127.0.0.1:9006"
    """gRPC address of the registry of workspaces."""

    auth_target: str = "127.0.0.1:9004"
    """gRPC address of the auth service, which is told the hashes of access keys."""

    airtable_gateway_target: str = "127.0.0.1:9002"
    """gRPC address of the Airtable gateway, which verifies credentials and bases."""

    api_key: SecretStr | None = None
    """What proves this operator to the platform's services."""

    public_rest_url: str = "http://127.0.0.1:8000/api"
    """Base address of the REST door, as tenants reach it, with /api; stands in every access Secret."""

    public_grpc_target: str = "127.0.0.1:9000"
    """Address of the gRPC door, as tenants reach it; stands in every access Secret."""

    public_mcp_url: str = "http://127.0.0.1:8001/mcp"
    """Address of the MCP door, as tenants reach it; stands in every access Secret."""

    public_airtable_url: str = "http://127.0.0.1:8002"
    """Address that stands in for api.airtable.com, as tenants reach it; stands in every access Secret."""

    shared_airtable_token: bool = False
    """Whether Workspaces that name no Airtable token use the installation's own, which the gateway knows. For
    demonstrations: everybody who may make a workspace can then read every base of that token."""

    network_policy_enforced: Literal["yes", "no", "unknown"] = "unknown"
    """Whether the cluster's network enforces NetworkPolicies; the API server cannot tell, so somebody has to."""

    verify_interval_seconds: float = Field(default=600, ge=1, le=86400)
    """How often credentials and bases are verified with Airtable when nothing changed."""

    resync_seconds: float = Field(default=300, ge=1, le=86400)
    """How often everything is compared anew, in memory; and the platform's registry with the Workspaces."""

    deletion_grace_seconds: float = Field(default=300, ge=0, le=86400)
    """How long a deletion waits for a platform that is away."""

    max_concurrent_reconciles: int = Field(default=8, ge=1, le=100)
    """Workspaces that are worked on at the same time."""

    lease_seconds: float = Field(default=15, ge=3, le=300)
    """How long a leader that stopped answering keeps the others waiting."""

    request_timeout_seconds: float = Field(default=30, gt=0, le=300)
    """Deadline of a request to the Kubernetes API."""

    platform_timeout_seconds: float = Field(default=10, gt=0, le=300)
    """Deadline of a call to the registry or the auth service."""

    verify_timeout_seconds: float = Field(default=40, gt=0, le=300)
    """Deadline of a verification, which waits its turn at Airtable's rate limit."""

    watch_silence_seconds: float = Field(default=180, ge=10, le=3600)
    """A watch that has heard nothing for so long makes /healthz fail; bookmarks come every minute."""


def load() -> Settings:
    """The settings of this process; a wrong value ends it with one sentence that names the variable."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        sys.exit(f"pyairtable-operator: {name} is wrong: {first['msg']}")
