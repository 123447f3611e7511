"""The copy of the workspace registry that services keep: what a caller's words mean."""

from __future__ import annotations

import pytest

from pyairtable_platform.common import context
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import Denied, InvalidInput, NotFound, Reason, Unavailable
from pyairtable_platform.common.registry import Owner, SecretRef, Source, WorkspaceRegistry
from pyairtable_platform.common.workspace import name_of
from pyairtable_protos.workspaces.v1 import workspace_pb2 as messages
from pyairtable_protos.workspaces.v1 import workspace_service_pb2 as rpc

CRM = messages.BaseBinding(name="crm", base_id="appCRM", access=messages.BASE_ACCESS_READ_WRITE, is_default=True)
SHOP = messages.BaseBinding(name="shop", base_id="appSHOP", access=messages.BASE_ACCESS_READ_ONLY)


@pytest.fixture
async def registry() -> WorkspaceRegistry:
    return WorkspaceRegistry(ServiceChannel("127.0.0.1:1"))


def snapshot(*workspaces: messages.Workspace) -> rpc.WatchWorkspacesResponse:
    return rpc.WatchWorkspacesResponse(snapshot=rpc.WorkspaceSnapshot(workspaces=workspaces))


def workspace(name: str, **fields: object) -> messages.Workspace:
    return messages.Workspace(name=name, **fields)  # type: ignore[arg-type]


async def test_nothing_is_answered_before_the_first_snapshot(registry: WorkspaceRegistry) -> None:
    with pytest.raises(Unavailable):
        registry.resolve("acme")
    with pytest.raises(Unavailable):
        await registry.check()


async def test_no_name_means_the_only_one(registry: WorkspaceRegistry) -> None:
    registry.apply(snapshot(workspace("acme")))
    assert registry.resolve("").name == "acme"
    registry.apply(rpc.WatchWorkspacesResponse(applied=workspace("beta")))
    with pytest.raises(InvalidInput, match="acme, beta") as caught:
        registry.resolve("")
    assert caught.value.reason is Reason.WORKSPACE_REQUIRED


async def test_unknown_and_suspended_ones_are_named(registry: WorkspaceRegistry) -> None:
    registry.apply(snapshot(workspace("acme", suspended=True)))
    with pytest.raises(Denied, match="acme"):
        registry.resolve("acme")
    with pytest.raises(NotFound, match="nope"):
        registry.resolve("nope")


async def test_changes_are_taken_in(registry: WorkspaceRegistry) -> None:
    registry.apply(snapshot(workspace("acme"), workspace("beta")))
    registry.apply(rpc.WatchWorkspacesResponse(removed="beta"))
    assert registry.names() == ["acme"]
    registry.apply(snapshot())
    assert registry.names() == []


async def test_a_base_by_id_by_name_and_by_default(registry: WorkspaceRegistry) -> None:
    registry.apply(snapshot(workspace("acme", bases=[CRM, SHOP])))
    acme = registry.resolve("acme")
    assert {acme.base(name).base_id for name in ("", "default", "crm", "appCRM")} == {"appCRM"}
    assert acme.base("shop").access == "ReadOnly"
    with pytest.raises(NotFound, match="appNOPE") as caught:
        acme.base("appNOPE")
    assert caught.value.reason is Reason.BASE_NOT_FOUND


async def test_several_bases_without_a_default_must_be_named(registry: WorkspaceRegistry) -> None:
    other = messages.BaseBinding(name="other", base_id="appOTHER", access=messages.BASE_ACCESS_SCHEMA)
    registry.apply(snapshot(workspace("acme", bases=[SHOP, other])))
    with pytest.raises(InvalidInput) as caught:
        registry.resolve("acme").base("")
    assert caught.value.reason is Reason.BASE_REQUIRED


def at(update: rpc.WatchWorkspacesResponse, revision: int, registry: str = "one") -> rpc.WatchWorkspacesResponse:
    """An update with the state that it belongs to."""
    update.registry, update.revision = registry, revision
    return update


async def test_what_a_replica_that_lies_behind_tells_is_left_aside(registry: WorkspaceRegistry) -> None:
    registry.apply(at(snapshot(workspace("acme", version=3), workspace("gone", version=2)), 3))
    registry.apply(at(rpc.WatchWorkspacesResponse(applied=workspace("acme", version=4, suspended=True)), 4))
    registry.apply(at(rpc.WatchWorkspacesResponse(removed="gone"), 5))
    registry.apply(at(snapshot(workspace("acme", version=3), workspace("gone", version=2)), 3))
    registry.apply(at(rpc.WatchWorkspacesResponse(applied=workspace("acme", version=4)), 4))
    assert registry.names() == ["acme"]
    assert registry.find("acme").suspended
    registry.apply(at(rpc.WatchWorkspacesResponse(applied=workspace("acme", version=6)), 6))
    assert not registry.find("acme").suspended


async def test_a_registry_made_anew_counts_whatever_its_revision(registry: WorkspaceRegistry) -> None:
    registry.apply(at(snapshot(workspace("old", version=9)), 9))
    registry.apply(at(snapshot(workspace("new", version=1)), 1, "two"))
    assert registry.names() == ["new"]


async def test_where_credentials_lie_who_owns_it_and_what_declared_it_are_known(registry: WorkspaceRegistry) -> None:
    token = messages.SecretRef(name="acme-airtable", key="token", version="0123456789abcdef")
    key = messages.SecretRef(name="acme-gemini", key="key")
    owner = messages.Owner(kind="ServiceAccount", name="app", namespace="ws-acme")
    source = messages.Source(kind="Workspace", uid="u-1", generation=2)
    fields = {"airtable_token": token, "llm": messages.LlmPolicy(api_key=key), "owners": [owner], "source": source}
    registry.apply(snapshot(workspace("acme", **fields)))
    acme = registry.resolve("acme")
    assert acme.airtable_secret == SecretRef("acme-airtable", "token", "0123456789abcdef")
    assert acme.llm.api_key == SecretRef("acme-gemini", "key", "")
    assert acme.owners == (Owner("ServiceAccount", "app", "ws-acme"),)
    assert acme.source == Source("Workspace", "u-1", 2)


async def test_suspended_ones_are_found_where_the_platform_asks(registry: WorkspaceRegistry) -> None:
    registry.apply(snapshot(workspace("acme", suspended=True)))
    assert registry.find("acme").suspended
    with pytest.raises(NotFound):
        registry.find("nope")


def made_by(kind: str, uid: str = "") -> messages.Workspace:
    return workspace("acme", source=messages.Source(kind=kind, uid=uid, generation=1))


@pytest.mark.parametrize(
    ("kind", "uid", "tenant"),
    [("File", "", "acme"), ("", "", "acme"), ("Workspace", "0f3e-1", "acme:0f3e-1"), ("Workspace", "", "acme:")],
)
async def test_what_stands_for_a_workspace_in_stores(
    registry: WorkspaceRegistry, kind: str, uid: str, tenant: str
) -> None:
    registry.apply(snapshot(made_by(kind, uid)))
    assert registry.resolve("acme").tenant == tenant
    assert name_of(tenant) == "acme"


async def test_work_of_a_workspace_ends_when_another_takes_its_name(registry: WorkspaceRegistry) -> None:
    registry.apply(snapshot(made_by("Workspace", "uid-1")))
    with context.entered(context.CallContext(workspace="acme", tenant="acme:uid-1")):
        assert registry.resolve("acme").source.uid == "uid-1"
        for other in (made_by("Workspace", "uid-2"), made_by("File")):
            registry.apply(rpc.WatchWorkspacesResponse(applied=other))
            with pytest.raises(NotFound, match="made anew"):
                registry.resolve("acme")
    assert registry.resolve("acme").source.kind == "File", "a new call is one of the new one"
