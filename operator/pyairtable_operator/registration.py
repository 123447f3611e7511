"""A Workspace as the platform's registry takes it: pure translation."""

from __future__ import annotations

from collections.abc import Iterable

from pyairtable_operator.spec import Base, SecretRef, Workspace
from pyairtable_protos.workspaces.v1 import workspace_pb2

_ACCESS = {
    "ReadOnly": workspace_pb2.BASE_ACCESS_READ_ONLY,
    "ReadWrite": workspace_pb2.BASE_ACCESS_READ_WRITE,
    "Schema": workspace_pb2.BASE_ACCESS_SCHEMA,
}


def entry(workspace: Workspace, bases: Iterable[Base], token_version: str, llm_version: str) -> workspace_pb2.Workspace:
    """The registry's entry, with the bases in force.

    A credential without a version was not verified, or is not usable: it is left out, so that nobody uses it.
    """
    spec = workspace.spec
    return workspace_pb2.Workspace(
        name=workspace.name,
        display_name=spec.display_name,
        suspended=spec.suspend,
        owners=[
            workspace_pb2.Owner(kind=owner.kind, name=owner.name, namespace=owner.namespace) for owner in spec.owners
        ],
        airtable_token=_reference(spec.airtable.token_secret_ref, token_version),
        monthly_call_budget=spec.airtable.monthly_call_budget,
        bases=[_base(base) for base in bases],
        llm=workspace_pb2.LlmPolicy(
            model=spec.llm.model,
            monthly_cost_limit=spec.llm.monthly_cost_limit,
            approval=spec.llm.approval,
            api_key=_reference(spec.llm.api_key_secret_ref, llm_version),
        ),
    )


def source(workspace: Workspace) -> workspace_pb2.Source:
    """Who declares it."""
    return workspace_pb2.Source(kind="Workspace", uid=workspace.uid, generation=workspace.meta.generation)


def _reference(reference: SecretRef | None, version: str) -> workspace_pb2.SecretRef | None:
    if reference is None or not version:
        return None
    return workspace_pb2.SecretRef(name=reference.name, key=reference.key, version=version)


def _base(base: Base) -> workspace_pb2.BaseBinding:
    return workspace_pb2.BaseBinding(
        name=base.name,
        base_id=base.base_id,
        access=_ACCESS[base.access],
        is_default=base.default,
        tables=base.tables,
    )
