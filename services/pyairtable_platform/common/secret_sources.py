"""Where credentials lie: in files below SECRETS_PATH, or in Secrets of one namespace of Kubernetes."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import orjson
from pydantic import Field, field_validator, model_validator

from .errors import Unavailable
from .kubernetes_api import KubernetesSettings, open_kubernetes, shown_token
from .secrets import FIRST_PAUSE, NotUsable, Secrets, SecretSource
from .settings import readable_folder
from .workspace import SecretRef

OPT_IN_LABEL = "pyairtable.dev/workspace"
LONGEST_API_PAUSE = 30.0
"""How long the API is left alone, at most, when it does not answer."""
LARGEST_SECRET_BYTES = 4 * 1024 * 1024
"""Kubernetes takes 1 MiB of data; base64, metadata and managed fields come on top."""


class SecretSettings(KubernetesSettings):
    """Where the credentials of workspaces lie."""

    secrets_path: Path | None = None
    """Folder with a file <secret name>/<key> for each credential that a workspace names."""

    secrets_namespace: str = Field(default="", max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")
    """Namespace of Kubernetes with the Secrets that workspaces name; each opts in to its workspace by the label
    pyairtable.dev/workspace."""

    @field_validator("secrets_path")
    @classmethod
    def is_folder(cls, value: Path | None) -> Path | None:
        return None if value is None else readable_folder(value)

    @model_validator(mode="after")
    def is_one_place(self) -> SecretSettings:
        if self.secrets_path and self.secrets_namespace:
            raise ValueError("set SECRETS_PATH or SECRETS_NAMESPACE, not both")
        if self.secrets_namespace and not self.has_kubernetes():
            raise ValueError("SECRETS_NAMESPACE needs KUBERNETES_API_URL outside of a cluster")
        return self


@asynccontextmanager
async def open_secrets(settings: SecretSettings, what: str) -> AsyncIterator[Secrets | None]:
    """The credentials that workspaces name; None where no place is set for them."""
    if settings.secrets_namespace:
        async with open_kubernetes(settings) as client:
            source = KubernetesSecrets(client, settings.secrets_namespace, settings.kubernetes_token_file)
            yield Secrets(source, what)
    elif settings.secrets_path is not None:
        yield Secrets(FileSecrets(settings.secrets_path), what)
    else:
        yield None


class FileSecrets(SecretSource):
    """Files are read at every call that needs them: they are small, and a rotation counts at once."""

    keep_seconds = 0.0
    longest_pause = 0.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self, workspace: str, secret: SecretRef) -> bytes:
        plain = all(part not in ("", ".", "..") and "/" not in part for part in (secret.name, secret.key))
        if not plain:
            raise NotUsable("its name cannot be the name of a file")
        try:
            return (self._folder / secret.name / secret.key).read_bytes()
        except (OSError, ValueError):
            raise NotUsable("there is no such file below SECRETS_PATH that can be read") from None


class KubernetesSecrets(SecretSource):
    """Named Secrets of one namespace, by `get` alone. A Secret must opt in to the workspace by its label."""

    keep_seconds = 30.0
    longest_pause = 10.0

    def __init__(
        self,
        client: httpx2.AsyncClient,
        namespace: str,
        token_file: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._token_file = token_file
        self._clock = clock
        self._away_until = 0.0
        self._pause = 0.0

    async def read(self, workspace: str, secret: SecretRef) -> bytes:
        if self._clock() < self._away_until:
            raise _away("does not answer")
        content = await self._get(secret.name)
        labels = content.get("metadata", {}).get("labels") or {}
        if labels.get(OPT_IN_LABEL) != workspace:
            raise NotUsable(
                f'the Secret in namespace "{self._namespace}" has not opted in to this workspace: its owner labels it '
                f"{OPT_IN_LABEL}={workspace}"
            )
        encoded = (content.get("data") or {}).get(secret.key)
        if encoded is None:
            raise NotUsable(f'the Secret in namespace "{self._namespace}" has no such key')
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise NotUsable("the Secret's data is not base64") from None

    async def _get(self, name: str) -> dict[str, Any]:
        try:
            response = await self._client.get(
                f"/api/v1/namespaces/{self._namespace}/secrets/{quote(name, safe='')}",
                headers=shown_token(self._token_file),
            )
        except (httpx2.HTTPError, OSError, ValueError):  # ValueError: a token file that holds no token
            raise self._lost("cannot be reached") from None
        return self._content(response)

    def _content(self, response: httpx2.Response) -> dict[str, Any]:
        where = f'namespace "{self._namespace}"'
        if response.status_code == 404:
            self._pause = 0.0
            raise NotUsable(f"there is no such Secret in {where}")
        if response.status_code == 403:
            self._pause = 0.0
            raise NotUsable(f"this service may not read it: its Role in {where} must allow to get Secrets")
        if response.status_code != 200 or len(response.content) > LARGEST_SECRET_BYTES:
            raise self._lost(f"answers with {response.status_code}")
        try:
            content = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            content = None
        if not isinstance(content, dict):
            raise self._lost("answers with something else than a Secret")
        self._pause = 0.0
        return content

    def _lost(self, how: str) -> Unavailable:
        """The API is away: nobody asks it again for a while, whatever Secret is wanted."""
        self._pause = min(LONGEST_API_PAUSE, self._pause * 2 or FIRST_PAUSE)
        self._away_until = self._clock() + self._pause
        return _away(how)


def _away(how: str) -> Unavailable:
    return Unavailable(
        f"the Kubernetes API {how}, and the credential has not been read yet: try again when it is back",
        dependency="kubernetes",
    )
