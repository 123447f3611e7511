"""Tokens of ServiceAccounts before a real API server: whose workspace they open, and until when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import jwt
import pytest

from pyairtable_devkit.cluster.control_plane import ControlPlane
from pyairtable_platform.auth import token_review
from pyairtable_platform.auth.authorizing import Authorizing, Sources
from pyairtable_platform.auth.memberships import Memberships
from pyairtable_platform.auth.revocations import RevocationFeed
from pyairtable_platform.auth.signers import Signers
from pyairtable_platform.auth.signing import Seal, StoredSigningKey
from pyairtable_platform.auth.token_review import ServiceAccounts
from pyairtable_platform.common.errors import Denied, InvalidInput, Unauthenticated, Unavailable
from pyairtable_platform.common.kubernetes_api import KubernetesSettings, open_kubernetes
from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2

PLATFORM, AUTH, ACME, BETA = "token-review-platform", "auth", "token-review-acme", "token-review-beta"
RBAC = "rbac.authorization.k8s.io"
BINDINGS = f"/apis/{RBAC}/v1/clusterrolebindings"
ROLES = f"/apis/{RBAC}/v1/clusterroles"


def create(api: httpx2.Client, path: str, **body: Any) -> None:
    api.post(path, json=body).raise_for_status()


def accounts_of(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/serviceaccounts"


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """Two tenants' namespaces, and auth with the rights that it needs and no others."""
    api = control_plane.api
    for namespace in (PLATFORM, ACME, BETA):
        create(api, "/api/v1/namespaces", metadata={"name": namespace})
    create(api, accounts_of(PLATFORM), metadata={"name": AUTH})
    rules = [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get"]},
    ]
    create(api, ROLES, metadata={"name": PLATFORM}, rules=rules)
    subject = {"kind": "ServiceAccount", "name": AUTH, "namespace": PLATFORM}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": PLATFORM}
    create(api, BINDINGS, metadata={"name": PLATFORM}, subjects=[subject], roleRef=role)
    yield control_plane
    for path in (f"{BINDINGS}/{PLATFORM}", f"{ROLES}/{PLATFORM}"):
        api.delete(path).raise_for_status()
    for namespace in (PLATFORM, ACME, BETA):
        api.delete(f"/api/v1/namespaces/{namespace}").raise_for_status()


class OneKey:
    """A store with one signing key."""

    def __init__(self) -> None:
        self.keys: list[StoredSigningKey] = []

    async def signing_keys(self) -> list[StoredSigningKey]:
        return self.keys

    async def first_signing_key(self, made: StoredSigningKey) -> list[StoredSigningKey]:
        self.keys = [made]
        return self.keys


def declare(memberships: Memberships, revision: int = 1, **owners: str) -> None:
    """Workspaces by name, each with the ServiceAccount (namespace/name) that owns it."""
    workspaces = []
    for name, owner in owners.items():
        namespace, _, account = owner.partition("/")
        subject = workspace_pb2.Owner(kind="ServiceAccount", name=account, namespace=namespace)
        workspaces.append(workspace_pb2.Workspace(name=name, version=revision, owners=[subject]))
    snapshot = workspace_service_pb2.WorkspaceSnapshot(workspaces=workspaces)
    update = workspace_service_pb2.WatchWorkspacesResponse(registry="r", revision=revision, snapshot=snapshot)
    memberships.apply(update)


@pytest.fixture
def settings(cluster: ControlPlane, tmp_path: Path) -> KubernetesSettings:
    token = tmp_path / "token"
    token.write_text(cluster.token(PLATFORM, AUTH))
    return KubernetesSettings(
        kubernetes_api_url=cluster.server_url, kubernetes_token_file=token, kubernetes_ca_file=cluster.ca_file
    )


@pytest.fixture
def memberships() -> Memberships:
    return Memberships(cast(Any, None), RevocationFeed())


@pytest.fixture
async def auth(settings: KubernetesSettings, memberships: Memberships) -> AsyncIterator[Authorizing]:
    nobody = cast(Any, None)
    audit = cast(Any, SimpleNamespace(note=str))
    async with open_kubernetes(settings) as client:
        reviews = ServiceAccounts(client, settings.kubernetes_token_file)
        sources = Sources(nobody, nobody, nobody, memberships, nobody, audit, reviews)
        yield Authorizing(Signers(cast(Any, OneKey()), Seal("a secret of this test")), sources)


@pytest.fixture
def bot(cluster: ControlPlane) -> Iterator[str]:
    """A token of acme's program."""
    create(cluster.api, accounts_of(ACME), metadata={"name": "bot"})
    yield cluster.token(ACME, "bot")
    cluster.api.delete(f"{accounts_of(ACME)}/bot")


async def test_a_tenants_token_opens_its_workspace_and_no_other(
    auth: Authorizing, memberships: Memberships, bot: str
) -> None:
    declare(memberships, acme=f"{ACME}/bot", beta=f"{BETA}/bot", gamma=f"{ACME}/other")
    for named in ("acme", ""):
        answer = await auth.authorize(bot, named)
        assert (answer.principal, answer.workspace) == (f"service-account:{ACME}:bot", "acme")
        assert answer.role == "owner"
    for named in ("beta", "gamma", "absent"):
        with pytest.raises(Denied):
            await auth.authorize(bot, named)
    declare(memberships, 2, acme=f"{ACME}/other", beta=f"{BETA}/bot")
    with pytest.raises(Denied):
        await auth.authorize(bot, "acme")
    with pytest.raises(InvalidInput):
        await auth.authorize(bot)


async def test_a_deleted_accounts_token_opens_nothing_nor_its_successor(
    cluster: ControlPlane, auth: Authorizing, memberships: Memberships, bot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_review, "KEPT_SECONDS", 0.0)
    declare(memberships, acme=f"{ACME}/bot")
    identity = (await auth.authorize(bot, "acme")).token
    assert (await auth.authorize(identity)).workspace == "acme", "renewed while the account is there"
    cluster.api.delete(f"{accounts_of(ACME)}/bot").raise_for_status()
    for credential in (bot, identity):
        await refused(auth, credential)
    create(cluster.api, accounts_of(ACME), metadata={"name": "bot"})
    for credential in (bot, identity):
        await refused(auth, credential)
    assert (await auth.authorize(cluster.token(ACME, "bot"), "acme")).role == "owner"


async def refused(auth: Authorizing, credential: str) -> None:
    """Wait until a credential is refused: the API server remembers ServiceAccounts for a moment too."""
    async with asyncio.timeout(60):
        while True:
            try:
                await auth.authorize(credential, "acme")
            except Unauthenticated:
                return
            await asyncio.sleep(0.2)


async def test_tokens_that_the_api_server_did_not_sign_are_refused(auth: Authorizing, bot: str) -> None:
    said = jwt.decode(bot, options={"verify_signature": False})
    forged = jwt.encode(said, "k" * 64, "HS256")
    head, body, seal = bot.split(".")
    for token in (forged, f"{head}.{body}.{seal[:-4]}AAAA"):
        with pytest.raises(Unauthenticated):
            await auth.authorize(token, "acme")


async def test_auth_without_its_rights_says_what_is_missing(
    cluster: ControlPlane, settings: KubernetesSettings, bot: str, tmp_path: Path
) -> None:
    powerless = tmp_path / "powerless"
    powerless.write_text(bot)
    async with open_kubernetes(settings) as client:
        with pytest.raises(Unavailable, match="ClusterRole"):
            await ServiceAccounts(client, powerless).review(bot)
        with pytest.raises(Unavailable, match="cannot be reached"):
            await ServiceAccounts(client, tmp_path / "absent").review(bot)
