"""The data plane's credentials before a real API server: what its ServiceAccount may do, opt-in, rotation, outages."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pyairtable_devkit.cluster.control_plane import ControlPlane
from pyairtable_platform.common.errors import FailedPrecondition, Unavailable
from pyairtable_platform.common.secret_sources import SecretSettings, open_secrets
from pyairtable_platform.common.secrets import Secrets, version_of
from pyairtable_platform.common.workspace import SecretRef

NAMESPACE, ACCOUNT, SECRET = "data-plane-credentials", "airtable-gateway", "acme-airtable"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
OLD, NEW = b"old-value-of-nobody", b"new-value-of-nobody"


def create(api: httpx2.Client, path: str, **body: Any) -> None:
    api.post(path, json=body).raise_for_status()


def put(api: httpx2.Client, value: bytes, workspace: str = "acme", name: str = SECRET) -> None:
    """Write the Secret as its owner would."""
    metadata = {"name": name, "labels": {"pyairtable.dev/workspace": workspace}}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "data": {"token": base64.b64encode(value).decode()},
    }
    answer = api.put(f"{SECRETS}/{name}", json=body)
    if answer.status_code == 404:
        answer = api.post(SECRETS, json=body)
    answer.raise_for_status()


@pytest.fixture(scope="module")
def credentials(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The namespace of credentials with a ServiceAccount that may `get` its Secrets and nothing else."""
    api = control_plane.api
    group = "rbac.authorization.k8s.io"
    rbac = f"/apis/{group}/v1/namespaces/{NAMESPACE}"
    create(api, "/api/v1/namespaces", metadata={"name": NAMESPACE})
    create(api, f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", metadata={"name": ACCOUNT})
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    create(api, f"{rbac}/roles", metadata={"name": "read"}, rules=[rule])
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    role = {"apiGroup": group, "kind": "Role", "name": "read"}
    create(api, f"{rbac}/rolebindings", metadata={"name": "read"}, subjects=[subject], roleRef=role)
    yield control_plane
    api.delete(f"/api/v1/namespaces/{NAMESPACE}").raise_for_status()


@pytest.fixture
def settings(credentials: ControlPlane, tmp_path: Path) -> SecretSettings:
    token = tmp_path / "token"
    token.write_text(credentials.token(NAMESPACE, ACCOUNT))
    put(credentials.api, OLD)
    return SecretSettings(
        secrets_namespace=NAMESPACE,
        kubernetes_api_url=credentials.server_url,
        kubernetes_token_file=token,
        kubernetes_ca_file=credentials.ca_file,
    )


@pytest.fixture
async def secrets(settings: SecretSettings) -> AsyncIterator[Secrets]:
    async with open_secrets(settings, "Airtable token") as opened:
        assert opened is not None
        yield opened


def reference(value: bytes, name: str = SECRET) -> SecretRef:
    return SecretRef(name, "token", version_of(value))


async def test_the_checked_value_is_read_and_outlives_a_rotation_until_the_new_one_is_checked(
    credentials: ControlPlane, secrets: Secrets, settings: SecretSettings
) -> None:
    assert (await secrets.read("acme", reference(OLD))).value.encode() == OLD
    put(credentials.api, NEW)
    assert (await secrets.read("acme", reference(OLD))).value.encode() == OLD
    async with open_secrets(settings, "Airtable token") as another:
        assert another is not None
        with pytest.raises(FailedPrecondition, match="not been checked yet"):
            await another.read("acme", reference(OLD))
    assert (await secrets.read("acme", reference(NEW), candidate=True)).value.encode() == NEW
    assert (await secrets.read("acme", reference(NEW))).value.encode() == NEW


async def test_a_secret_of_another_workspace_or_of_nobody_is_refused(
    credentials: ControlPlane, secrets: Secrets
) -> None:
    put(credentials.api, OLD, workspace="other", name="other-airtable")
    with pytest.raises(FailedPrecondition, match="opted in"):
        await secrets.read("acme", reference(OLD, "other-airtable"))
    with pytest.raises(FailedPrecondition, match="no such Secret"):
        await secrets.read("acme", reference(OLD, "nowhere"))


async def test_the_service_account_may_get_here_and_nothing_else(
    credentials: ControlPlane, settings: SecretSettings
) -> None:
    headers = {"authorization": f"Bearer {credentials.token(NAMESPACE, ACCOUNT)}"}
    async with httpx2.AsyncClient(
        base_url=credentials.server_url, verify=ssl.create_default_context(cafile=credentials.ca_file)
    ) as client:
        answers = {
            "get": await client.get(f"{SECRETS}/{SECRET}", headers=headers),
            "list": await client.get(SECRETS, headers=headers),
            "delete": await client.delete(f"{SECRETS}/{SECRET}", headers=headers),
            "elsewhere": await client.get("/api/v1/namespaces/default/secrets/any", headers=headers),
        }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "get": 200,
        "list": 403,
        "delete": 403,
        "elsewhere": 403,
    }
    elsewhere = settings.model_copy(update={"secrets_namespace": "default"})
    async with open_secrets(elsewhere, "Airtable token") as opened:
        assert opened is not None
        with pytest.raises(FailedPrecondition, match="Role"):
            await opened.read("acme", reference(OLD))


async def test_with_a_token_that_is_refused_it_waits_for_another_and_shows_none(
    secrets: Secrets, settings: SecretSettings
) -> None:
    good = _swap(settings.kubernetes_token_file, "not-a-token")
    with pytest.raises(Unavailable) as caught:
        await secrets.read("acme", reference(OLD))
    assert "not-a-token" not in str(caught.value)
    _swap(settings.kubernetes_token_file, good)
    for _ in range(100):
        try:
            credential = await secrets.read("acme", reference(OLD), candidate=True)
            break
        except Unavailable:
            await asyncio.sleep(0.1)
    assert credential.value.encode() == OLD


def _swap(file: Path, text: str) -> str:
    before = file.read_text()
    file.write_text(text)
    return before
