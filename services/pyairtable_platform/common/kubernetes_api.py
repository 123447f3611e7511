"""The Kubernetes API, for the few things that services ask of it: where it is, and a client that trusts its CA only."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from .settings import COMMON

REQUEST_SECONDS = 5.0

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class KubernetesSettings(BaseSettings):
    """Where the Kubernetes API is, and what it is shown."""

    model_config = COMMON

    kubernetes_api_url: str = ""
    """The Kubernetes API; empty is that of the cluster this process runs in."""

    kubernetes_token_file: Path = _SERVICE_ACCOUNT / "token"
    """File with the bearer token for the Kubernetes API; read again for every request, because tokens rotate."""

    kubernetes_ca_file: Path = _SERVICE_ACCOUNT / "ca.crt"
    """File with the certificates that the Kubernetes API is trusted by."""

    kubernetes_service_host: str = ""
    """Set by Kubernetes in every pod."""

    kubernetes_service_port: int = Field(default=443, ge=1, le=65535)
    """Set by Kubernetes in every pod."""

    @field_validator("kubernetes_api_url")
    @classmethod
    def is_https(cls, value: str) -> str:
        if value and not value.startswith("https://"):
            raise ValueError("must begin with https://")
        return value.rstrip("/")

    def has_kubernetes(self) -> bool:
        """Whether there is an API to ask: one that is named, or that of the cluster this process runs in."""
        return bool(self.kubernetes_api_url or self.kubernetes_service_host)

    def kubernetes_url(self) -> str:
        """Where the Kubernetes API is."""
        host = self.kubernetes_service_host
        in_cluster = f"https://{f'[{host}]' if ':' in host else host}:{self.kubernetes_service_port}"
        return self.kubernetes_api_url or in_cluster


@asynccontextmanager
async def open_kubernetes(settings: KubernetesSettings) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the Kubernetes API that trusts its CA only. Requests show the token themselves (`shown_token`)."""
    try:
        trust = ssl.create_default_context(cafile=settings.kubernetes_ca_file)
    except OSError as error:
        raise ValueError(f"KUBERNETES_CA_FILE: {settings.kubernetes_ca_file} cannot be read") from error
    async with httpx2.AsyncClient(
        base_url=settings.kubernetes_url(),
        verify=trust,
        timeout=REQUEST_SECONDS,
        trust_env=False,
        headers={"accept": "application/json", "user-agent": "pyairtable-platform"},
    ) as client:
        yield client


def shown_token(token_file: Path) -> dict[str, str]:
    """The header that shows our token; raises OSError or ValueError for a file that holds none."""
    return {"authorization": f"Bearer {token_file.read_text(encoding='ascii').strip()}"}
