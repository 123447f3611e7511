"""What declares a workspace (a document's spec, or ApplyWorkspace's message), checked and as a plain value."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.workspace import (
    CUSTOM_RESOURCE,
    BaseBinding,
    LlmPolicy,
    Owner,
    SecretRef,
    Source,
    Workspace,
    declared_members,
    from_message,
)
from pyairtable_protos.workspaces.v1 import workspace_pb2

from . import documents
from .documents import API_VERSION, KIND, Spec, WorkspaceDocument

_VERSION = re.compile(r"[0-9a-f]{16}|")
_UID = re.compile(r"[-._A-Za-z0-9]{1,64}")  # it stands in headers and keys


def from_spec(name: str, spec: Spec, source: Source) -> Workspace:
    """The workspace that a document declares. The only base is the default one."""
    bases, llm = spec.airtable.bases, spec.llm
    owners = tuple(Owner(owner.kind, owner.name, owner.namespace or "") for owner in spec.owners)
    return Workspace(
        name=name,
        display_name=spec.display_name or name,
        version=0,
        suspended=spec.suspend,
        airtable_secret=_secret(spec.airtable.token_secret_ref),
        monthly_call_budget=spec.airtable.monthly_call_budget,
        bases=tuple(
            BaseBinding(base.name, base.base_id, base.access, base.default or len(bases) == 1, tuple(base.tables))
            for base in bases
        ),
        llm=LlmPolicy(llm.model, llm.monthly_cost_limit, llm.approval, _secret(llm.api_key_secret_ref)),
        owners=owners,
        source=source,
        members=declared_members(owners),
    )


def from_request(message: workspace_pb2.Workspace, source: workspace_pb2.Source) -> Workspace:
    """The workspace that a custom resource declares, held to the rules of documents. Raises InvalidInput."""
    if source.kind != CUSTOM_RESOURCE or not _UID.fullmatch(source.uid):
        raise InvalidInput.at("source", "must be a custom resource (kind Workspace) with its uid")
    wanted = from_message(message)
    _check_message(message, wanted)
    return checked(replace(wanted, source=Source(source.kind, source.uid, source.generation)))


def checked(wanted: Workspace) -> Workspace:
    """A workspace held to the rules of documents, in their normal form; raises InvalidInput."""
    declared = from_spec(wanted.name, _spec(wanted), wanted.source)
    return replace(  # documents know no versions of secrets
        declared, airtable_secret=wanted.airtable_secret, llm=replace(declared.llm, api_key=wanted.llm.api_key)
    )


def _check_message(message: workspace_pb2.Workspace, wanted: Workspace) -> None:
    """What only the message can get wrong."""
    for index, base in enumerate(message.bases):
        if base.access == workspace_pb2.BASE_ACCESS_UNSPECIFIED:
            raise InvalidInput.at(f"workspace.bases[{index}].access", "must be set")
    for name, secret in (("airtable_token", wanted.airtable_secret), ("llm.api_key", wanted.llm.api_key)):
        if secret is not None and not _VERSION.fullmatch(secret.version):
            raise InvalidInput.at(f"workspace.{name}.version", "must be 16 hexadecimal digits in lower case, or empty")


def _spec(workspace: Workspace) -> Spec:
    """The spec of the document that would declare this, checked as a document is."""
    llm = workspace.llm
    content = {
        "displayName": workspace.display_name,
        "owners": [_without_empty(kind=o.kind, name=o.name, namespace=o.namespace) for o in workspace.owners],
        "airtable": _without_empty(
            tokenSecretRef=_reference(workspace.airtable_secret),
            monthlyCallBudget=workspace.monthly_call_budget,
            bases=[
                {"name": b.name, "baseId": b.base_id, "access": b.access, "default": b.is_default, "tables": b.tables}
                for b in workspace.bases
            ],
        ),
        "llm": _without_empty(
            model=llm.model,
            monthlyCostLimit=llm.monthly_cost_limit,
            approval=llm.approval,
            apiKeySecretRef=_reference(llm.api_key),
        ),
        "suspend": workspace.suspended,
    }
    document = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": workspace.name}, "spec": content}
    try:
        return WorkspaceDocument.model_validate(document).spec
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidInput.at(f"workspace: {place}", first["msg"].removeprefix("Value error, ")) from error


def _secret(reference: documents.SecretRef | None) -> SecretRef | None:
    return SecretRef(reference.name, reference.key) if reference is not None else None


def _reference(secret: SecretRef | None) -> dict[str, str] | None:
    return {"name": secret.name, "key": secret.key} if secret is not None else None


def _without_empty(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", None)}
