"""Workspace documents for tests of the operator's rules, and what they are parsed to."""

from __future__ import annotations

import copy
from typing import Any

from pyairtable_operator.manifests import Manifest
from pyairtable_operator.spec import Workspace, parse_workspace

UID = "11111111-2222-3333-4444-555555555555"


def minimal_document(name: str = "small") -> dict[str, Any]:
    """Nothing but a name."""
    return {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": name, "uid": UID, "generation": 1, "resourceVersion": "1"},
        "spec": {},
    }


def rich_document(name: str = "acme") -> dict[str, Any]:
    """Every field in use; quantities in a form that the API server rewrites."""
    document = minimal_document(name)
    document["metadata"]["generation"] = 3
    document["spec"] = {
        "displayName": "Acme Renovations",
        "owners": [
            {"kind": "User", "name": "ada@acme.example"},
            {"kind": "Group", "name": "acme:builders"},
            {"kind": "ServiceAccount", "name": "deployer", "namespace": "ci"},
        ],
        "airtable": {
            "tokenSecretRef": {"name": "acme-airtable", "key": "token"},
            "monthlyCallBudget": 1000,
            "bases": [
                {"name": "crm", "baseId": "appAcmeRenovation", "access": "Schema", "default": True},
                {"name": "stock", "baseId": "appAcmeStock00001", "tables": ["Tools", "Paint", "Bricks"]},
            ],
            "tenantBases": ["appTenantsOwn0001"],
        },
        "llm": {"model": "", "monthlyCostLimit": "25.00", "approval": "Destructive"},
        "namespace": {
            "quota": {"requests.cpu": "0.5", "limits.memory": "1024Mi", "pods": "20", "count/jobs.batch": "1k"},
            "limits": {"cpu": "0.25", "memory": "536870912"},
        },
    }
    return document


def workspace_of(document: dict[str, Any], **changes: Any) -> Workspace:
    """The document parsed, after setting spec fields given as path with underscores for dots ("suspend=True")."""
    document = copy.deepcopy(document)
    for path, value in changes.items():
        target = document["spec"]
        *parents, last = path.split("__")
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return parse_workspace(document)


def as_stored(
    manifest: Manifest, *, uid: str = "object-uid", written_at: str = "2026-11-22T12:00:00Z"
) -> dict[str, Any]:
    """The manifest as the API server would give it back, with what it adds."""
    body: dict[str, Any] = copy.deepcopy(dict(manifest.body))
    entry = {"manager": "pyairtable-operator", "operation": "Apply", "time": written_at, "fieldsV1": {}}
    body["metadata"] |= {"uid": uid, "resourceVersion": "7", "creationTimestamp": written_at, "managedFields": [entry]}
    return body
