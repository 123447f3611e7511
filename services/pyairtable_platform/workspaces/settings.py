"""Settings of the workspace service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from pyairtable_platform.common.kubernetes_api import KubernetesSettings
from pyairtable_platform.common.self_service import SelfServiceSettings
from pyairtable_platform.common.settings import (
    AirtableGatewayPeer,
    DatabaseSettings,
    RedisSettings,
    SagasPeer,
    ServiceSettings,
)


class Settings(
    SelfServiceSettings,
    AirtableGatewayPeer,
    SagasPeer,
    KubernetesSettings,
    RedisSettings,
    DatabaseSettings,
    ServiceSettings,
):
    """What the workspace service can be told."""

    http_port: int = Field(default=8006, ge=0, le=65535)
    grpc_port: int = Field(default=9006, ge=0, le=65535)

    workspaces_path: Path | None = None
    """A file, or a folder of *.yaml files, of Workspace documents as `kubectl apply` takes them; edits are noticed.
    Empty where only the operator declares workspaces: those that files declared before are then removed."""

    provisioning: Literal["standalone", "kubernetes"] = "standalone"
    """What a workspace that a call makes needs: nothing more (`standalone`), or a Workspace object, which is created,
    changed and deleted through the Kubernetes API, and put into the registry by the operator (`kubernetes`)."""

    shared_airtable_token: bool = False
    """Whether workspaces that calls make may use the installation's own Airtable token (AIRTABLE_TOKEN): bases of it
    that no other workspace has bound, whatever declares that one. For demonstrations: everybody who may make a
    workspace can then bind every other base of that token. The same for `workspaces`, `airtable-gateway` and the
    operator."""

    workspaces_per_person: int = Field(default=10, ge=0, le=10_000)
    """How many workspaces a person may make and own."""

    members_per_workspace: int = Field(default=100, ge=1, le=10_000)
    """How many members a workspace may have, owners of its declaration included."""

    invitations_per_hour: int = Field(default=50, ge=1, le=10_000)
    """How many addresses a workspace may invite within an hour."""

    @model_validator(mode="after")
    def knows_the_cluster(self) -> Settings:
        if self.provisioning == "kubernetes" and not self.has_kubernetes():
            raise ValueError("PROVISIONING=kubernetes needs KUBERNETES_API_URL outside of a cluster")
        return self
