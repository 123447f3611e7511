"""The tenant namespace with its quota and the defaults of its containers."""

from __future__ import annotations

from pyairtable_operator import constants
from pyairtable_operator.manifests.manifest import Manifest, manifest
from pyairtable_operator.spec import Workspace

NAME = "pyairtable"
"""Of the ResourceQuota and the LimitRange."""

_POD_SECURITY = "pod-security.kubernetes.io"


def namespace(workspace: Workspace, *, adopted: bool) -> Manifest:
    """The namespace; an adopted one says so, since it must outlive the workspace."""
    level = workspace.spec.namespace.pod_security
    security = {
        f"{_POD_SECURITY}/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", level), ("-version", "latest"))
    }
    annotations = {constants.ADOPTED_ANNOTATION: "true"} if adopted else None
    name = workspace.namespace
    return manifest(
        workspace, "v1", "Namespace", name, {}, namespace="", extra_labels=security, annotations=annotations
    )


def quotas(workspace: Workspace) -> list[Manifest]:
    """ResourceQuota and LimitRange, each when the spec sets one."""
    made = []
    if hard := workspace.spec.namespace.quota:
        made.append(manifest(workspace, "v1", "ResourceQuota", NAME, {"spec": {"hard": dict(hard)}}))
    if limits := workspace.spec.namespace.limits:
        # defaultRequest is what the API server would fill in.
        limit = {"type": "Container", "default": dict(limits), "defaultRequest": dict(limits)}
        made.append(manifest(workspace, "v1", "LimitRange", NAME, {"spec": {"limits": [limit]}}))
    return made
