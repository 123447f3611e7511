"""A Workspace whose name a call has taken: it stays outside of the registry, and its condition says why."""

from __future__ import annotations

from kubernetes_kit.platform_double import PlatformDouble
from kubernetes_kit.tenant import Tenant

from pyairtable_protos.workspaces.v1 import workspace_pb2


def test_what_a_call_made_is_not_taken_over_by_a_workspace_of_its_name(
    tenant: Tenant, platform: PlatformDouble
) -> None:
    source = workspace_pb2.Source(kind="Api", uid="of-the-call")
    theirs = workspace_pb2.Workspace(name=tenant.name, display_name="Theirs", source=source, version=7)
    platform.state.registry[tenant.name] = theirs
    tenant.create()

    said = tenant.wait("PlatformSynced", "False", "Refused")["message"]
    assert "was made by a call" in said and "choose another name" in said
    assert tenant.wait("Ready", "False")["reason"] == "Refused"
    assert platform.state.registry[tenant.name] == theirs

    tenant.delete()
    tenant.wait_gone()
    assert platform.state.registry[tenant.name] == theirs, "its end takes nothing of theirs along"
    del platform.state.registry[tenant.name]


def test_it_comes_into_force_when_the_name_is_free(tenant: Tenant, platform: PlatformDouble) -> None:
    source = workspace_pb2.Source(kind="Api", uid="of-the-call")
    platform.state.registry[tenant.name] = workspace_pb2.Workspace(name=tenant.name, source=source, version=7)
    tenant.create()
    tenant.wait("PlatformSynced", "False", "Refused")
    del platform.state.registry[tenant.name]
    tenant.annotate(touched="now")  # it would be tried again within a minute
    tenant.wait()
    assert platform.state.registry[tenant.name].source.kind == "Workspace"
