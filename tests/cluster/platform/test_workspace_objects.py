"""Workspaces that calls make in a cluster: objects on a real API server, with the rights that the chart gives."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from integration.workspaces.people_kit import Installation, Person, running_installation
from integration.workspaces.stand_ins import Around, running_around
from integration.workspaces.test_invitations import reason_of, statement
from integration.workspaces.test_provisioning_steps import BASE, binding, reserving

from pyairtable_devkit.cluster.control_plane import ControlPlane
from pyairtable_devkit.databases import Postgres
from pyairtable_platform.common.errors import FailedPrecondition, NotFound, Unavailable
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_protos.workspaces.v1 import workspace_pb2

NAMESPACE, ACCOUNT = "workspaces-by-call", "workspaces"
OBJECTS = "/apis/pyairtable.dev/v1alpha1/workspaces"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres.start() as server:
        url = server.create_database("template")
        asyncio.run(migrate_async(DatabaseSettings(database_url=url), ("workspaces",)))  # type: ignore[arg-type]
        yield server


@pytest.fixture(scope="module")
def cluster(crds: ControlPlane) -> Iterator[ControlPlane]:
    """A ServiceAccount that may get, create, patch and delete Workspaces, and nothing else."""
    api, group = crds.api, "rbac.authorization.k8s.io"
    rule = {"apiGroups": ["pyairtable.dev"], "resources": ["workspaces"], "verbs": ["get", "create", "patch", "delete"]}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    role = {"apiGroup": group, "kind": "ClusterRole", "name": NAMESPACE}
    for path, body in (
        ("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}),
        (f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": ACCOUNT}}),
        (f"/apis/{group}/v1/clusterroles", {"metadata": {"name": NAMESPACE}, "rules": [rule]}),
        (
            f"/apis/{group}/v1/clusterrolebindings",
            {"metadata": {"name": NAMESPACE}, "subjects": [subject], "roleRef": role},
        ),
    ):
        api.post(path, json=body).raise_for_status()
    yield crds
    for path in (
        f"/apis/{group}/v1/clusterrolebindings/{NAMESPACE}",
        f"/apis/{group}/v1/clusterroles/{NAMESPACE}",
        f"/api/v1/namespaces/{NAMESPACE}",
    ):
        api.delete(path).raise_for_status()


@pytest.fixture
def api(cluster: ControlPlane) -> Iterator[httpx2.Client]:
    """The API server for its administrator; what a test leaves is deleted."""
    yield cluster.api
    for item in cluster.api.get(OBJECTS).json()["items"]:
        cluster.api.delete(f"{OBJECTS}/{item['metadata']['name']}")


@pytest.fixture
async def installation(
    cluster: ControlPlane, api: httpx2.Client, postgres: Postgres, tmp_path: Path
) -> AsyncIterator[Installation]:
    name = f"provisioning_{next(_numbers)}"
    token = tmp_path / "token"
    token.write_text(cluster.token(NAMESPACE, ACCOUNT))
    kubernetes = {
        "provisioning": "kubernetes",
        "kubernetes_api_url": cluster.server_url,
        "kubernetes_token_file": token,
        "kubernetes_ca_file": cluster.ca_file,
    }
    url = postgres.create_database(name, template="template")
    nowhere = "redis://127.0.0.1:1/0"  # events wait in the outbox
    async with running_around() as around, running(around, url, nowhere, kubernetes) as running_one:
        yield running_one
    postgres.drop_database(name)


def running(around: Around, url: str, redis_url: str, kubernetes: dict[str, Any]) -> Any:
    return running_installation(around, url, redis_url, replicas=1, shared_airtable_token=True, **kubernetes)


def object_named(api: httpx2.Client, name: str = "acme") -> dict[str, Any]:
    answer = api.get(f"{OBJECTS}/{name}")
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def is_there(api: httpx2.Client, name: str = "acme") -> bool:
    return api.get(f"{OBJECTS}/{name}").status_code == 200


async def operate(installation: Installation, api: httpx2.Client, name: str = "acme") -> None:
    """Tell the registry of an object, as the operator does."""
    content = object_named(api, name)
    spec = content["spec"]
    wanted = workspace_pb2.Workspace(name=name, display_name=spec.get("displayName", ""))
    metadata = content["metadata"]
    source = workspace_pb2.Source(kind="Workspace", uid=metadata["uid"], generation=metadata["generation"])
    await installation.peer("ApplyWorkspace", workspace=wanted, source=source)


async def made(installation: Installation, api: httpx2.Client) -> Person:
    """acme, made by a call, in force; its owner."""
    ada = installation.person("ada")
    await installation.peer("ReserveWorkspace", **reserving(ada))
    await installation.peer("DeclareWorkspace", name="acme", idempotency_key="k:declare")
    await operate(installation, api)
    await installation.peer("ActivateWorkspace", name="acme", idempotency_key="k:activate")
    return ada


async def test_a_call_becomes_an_object_and_the_operator_puts_it_in_force(
    installation: Installation, api: httpx2.Client
) -> None:
    ada = installation.person("ada")
    await installation.peer("ReserveWorkspace", **reserving(ada))
    answer = await installation.peer("DeclareWorkspace", name="acme", idempotency_key="k:declare")
    assert answer.object == "Workspace/acme"
    content = object_named(api)
    assert content["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "pyairtable-api"}
    assert content["spec"]["displayName"] == "Acme"
    assert {entry["manager"] for entry in content["metadata"]["managedFields"]} == {"pyairtable-api"}
    assert await installation.peer("DeclareWorkspace", name="acme", idempotency_key="k:declare") == answer

    with pytest.raises(Unavailable, match="operator"):
        await installation.peer("ActivateWorkspace", name="acme", idempotency_key="k:activate")
    await operate(installation, api)
    active = (await installation.peer("ActivateWorkspace", name="acme", idempotency_key="k:activate")).workspace
    assert (active.source.kind, active.source.uid) == ("Workspace", content["metadata"]["uid"])
    members = (await ada.ask("ListMembers", own="owner", workspace="acme")).members
    assert [(member.user_id, member.role) for member in members] == [(ada.user_id, "owner")]


async def test_edits_change_the_object_and_leave_what_others_put_there(
    installation: Installation, api: httpx2.Client
) -> None:
    ada = await made(installation, api)
    token = {"spec": {"airtable": {"tokenSecretRef": {"name": "acme-airtable"}}}}
    headers = {"content-type": "application/merge-patch+json"}
    api.patch(f"{OBJECTS}/acme", json=token, headers=headers).raise_for_status()
    changed = (await ada.ask("UpdateWorkspace", own="owner", workspace="acme", display_name="New")).workspace
    content = object_named(api)
    assert content["spec"]["displayName"] == changed.display_name == "New"
    assert content["metadata"]["generation"] == changed.source.generation
    assert content["spec"]["airtable"]["tokenSecretRef"]["name"] == "acme-airtable"

    fields = {"workspace_name": "acme", "base": binding(), "principal": ""}
    await installation.peer("BindBase", idempotency_key="k:bind", **fields)
    assert [base["baseId"] for base in object_named(api)["spec"]["airtable"]["bases"]] == [BASE]
    await ada.ask("DisconnectBase", own="owner", workspace="acme", base="crm")
    content = object_named(api)
    assert not content["spec"]["airtable"].get("bases")
    assert content["spec"]["airtable"]["tokenSecretRef"]["name"] == "acme-airtable"


@pytest.mark.parametrize("how", ["DeleteWorkspace", "kubectl delete", "ReleaseWorkspace", "ErasePerson"])
async def test_every_end_is_the_same_end(installation: Installation, api: httpx2.Client, how: str) -> None:
    ada = await made(installation, api)
    await ada.ask("CreateInvitation", own="owner", workspace="acme", email="bob@acme.example", role="viewer")
    uid = object_named(api)["metadata"]["uid"]
    if how == "DeleteWorkspace":
        await ada.ask(how, own="owner", workspace="acme")
    elif how == "ReleaseWorkspace":
        await installation.peer(how, undoes="k:reserve")
    elif how == "ErasePerson":
        await installation.peer(how, user_id=ada.user_id, idempotency_key="erase")
    else:
        api.delete(f"{OBJECTS}/acme").raise_for_status()
    await installation.peer("RemoveWorkspace", name="acme", uid=uid)  # the operator's finalizer, in every case
    assert not is_there(api)
    with pytest.raises(NotFound):
        await installation.peer("GetWorkspace", workspace="acme")
    for table in ("members", "invitations", "reservations"):
        assert not await statement(installation.database_url, f"SELECT 1 FROM {table}")  # noqa: S608
    told = await statement(installation.database_url, "SELECT 1 FROM outbox WHERE type = 'workspace.deleted.v1'")
    assert len(told) == 1
    assert await reason_of(installation.peer("ReserveWorkspace", **reserving(ada, idempotency_key="again"))) == "done"


async def test_somebody_elses_object_is_left_alone(installation: Installation, api: httpx2.Client) -> None:
    body = {"apiVersion": "pyairtable.dev/v1alpha1", "kind": "Workspace", "metadata": {"name": "acme"}, "spec": {}}
    api.post(OBJECTS, json=body).raise_for_status()
    before = object_named(api)
    ada = installation.person("ada")
    await installation.peer("ReserveWorkspace", **reserving(ada))
    with pytest.raises(FailedPrecondition, match="Workspace/acme is there already"):
        await installation.peer("DeclareWorkspace", name="acme", idempotency_key="k:declare")
    assert (await installation.peer("ReleaseWorkspace", undoes="k:reserve")).undone
    assert object_named(api)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_an_object_does_not_take_the_name_that_a_call_is_taking(
    installation: Installation, api: httpx2.Client
) -> None:
    """Not even while the call has no object yet: the operator is told CONFLICT, and says so in PlatformSynced."""
    ada = installation.person("ada")
    await installation.peer("ReserveWorkspace", **reserving(ada))
    body = {"apiVersion": "pyairtable.dev/v1alpha1", "kind": "Workspace", "metadata": {"name": "acme"}, "spec": {}}
    api.post(OBJECTS, json=body).raise_for_status()
    assert await reason_of(operate(installation, api)) == "CONFLICT"
    with pytest.raises(NotFound):
        await installation.peer("GetWorkspace", workspace="acme")
    await installation.peer("ReleaseWorkspace", undoes="k:reserve")
    await operate(installation, api)
    assert (await installation.peer("GetWorkspace", workspace="acme")).workspace.source.kind == "Workspace"


async def test_what_the_operator_tells_anew_keeps_the_members(installation: Installation, api: httpx2.Client) -> None:
    ada = await made(installation, api)
    headers = {"content-type": "application/merge-patch+json"}
    patch = {"spec": {"displayName": "By kubectl", "llm": {"approval": "Writes"}}}
    api.patch(f"{OBJECTS}/acme", json=patch, headers=headers).raise_for_status()
    await operate(installation, api)
    workspace = (await installation.peer("GetWorkspace", workspace="acme")).workspace
    assert workspace.display_name == "By kubectl"
    assert [(member.user_id, member.role) for member in workspace.members] == [(ada.user_id, "owner")]


async def test_a_declaration_that_comes_after_its_release_makes_nothing(
    installation: Installation, api: httpx2.Client
) -> None:
    ada = installation.person("ada")
    await installation.peer("ReserveWorkspace", **reserving(ada))
    await installation.peer("ReleaseWorkspace", undoes="k:reserve")
    call = installation.peer("DeclareWorkspace", name="acme", idempotency_key="k:declare")
    assert await reason_of(call) == "CONFLICT"
    assert not is_there(api)


async def test_a_declaration_and_its_release_at_once_leave_nothing(
    installation: Installation, api: httpx2.Client
) -> None:
    ada = installation.person("ada")
    for number in range(5):
        await installation.peer("ReserveWorkspace", **reserving(ada, idempotency_key=f"{number}:reserve"))
        await asyncio.gather(
            reason_of(installation.peer("DeclareWorkspace", name="acme", idempotency_key=f"{number}:declare")),
            installation.peer("ReleaseWorkspace", undoes=f"{number}:reserve"),
        )
        assert not is_there(api)


async def test_without_the_rights_it_says_which_are_missing(
    cluster: ControlPlane, installation: Installation, api: httpx2.Client
) -> None:
    ada = installation.person("ada")
    binding_path = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{NAMESPACE}"
    content = api.get(binding_path).json()
    api.delete(binding_path).raise_for_status()
    try:
        for number in range(100):  # the authorizer hears of it a moment later
            await installation.peer("ReserveWorkspace", **reserving(ada, idempotency_key=f"{number}:reserve"))
            call = installation.peer("DeclareWorkspace", name="acme", idempotency_key=f"{number}:declare")
            if await reason_of(call) == "DEPENDENCY_UNAVAILABLE":
                break
            await installation.peer("ReleaseWorkspace", undoes=f"{number}:reserve")
        with pytest.raises(Unavailable, match="ClusterRole"):
            await installation.peer("DeclareWorkspace", name="acme", idempotency_key="k:declare")
    finally:
        kept = {key: content[key] for key in ("subjects", "roleRef")}
        api.post(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", json={"metadata": {"name": NAMESPACE}, **kept}
        ).raise_for_status()
