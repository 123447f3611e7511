"""Settings of the workspace registry."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pyairtable_platform.common.settings import DatabaseSettings, ServiceSettings


class Settings(DatabaseSettings, ServiceSettings):
    """What the registry can be told."""

    http_port: int = Field(default=8006, ge=0, le=65535)
    grpc_port: int = Field(default=9006, ge=0, le=65535)

    workspaces_path: Path | None = None
    """A file, or a folder of *.yaml files, of Workspace documents as `kubectl apply` takes them; edits are noticed.
    Empty where only the operator declares workspaces: those that files declared before are then removed."""
