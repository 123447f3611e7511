"""Names that stand in every object of ours, in one place because a change of one orphans what was made before."""

from __future__ import annotations

GROUP = "pyairtable.dev"
"""API group of the custom resources."""

VERSION = "v1alpha1"
"""Version of the custom resources."""

API_VERSION = f"{GROUP}/{VERSION}"
"""As it stands in `apiVersion`."""

FIELD_MANAGER = "pyairtable-operator"
"""Our name in server-side apply, and the value of `app.kubernetes.io/managed-by`."""

FINALIZER = f"{GROUP}/workspace"
"""Keeps a Workspace until the platform and the tenant namespace have been told."""

WORKSPACE_LABEL = f"{GROUP}/workspace"
"""Label that opts a Secret in to a workspace, and marks what belongs to one."""

OWNER_UID_ANNOTATION = f"{GROUP}/workspace-uid"
"""On managed objects: metadata.uid of the Workspace they were made for."""

ADOPT_ANNOTATION = f"{GROUP}/adopt-by"
"""On a namespace that is not ours: the Workspace that may take it over. Set by who may change namespaces."""

ADOPTED_ANNOTATION = f"{GROUP}/adopted"
"""On a namespace that was there before its Workspace: it is never deleted."""

ROTATE_ANNOTATION = f"{GROUP}/rotate-access-key"
"""On a Workspace: each new value rotates the access key once."""

PLAN_ANNOTATION = f"{GROUP}/plan"
"""On a Workspace: "true" shows in status.plan what would be done, and does nothing."""

FORCE_DELETE_ANNOTATION = f"{GROUP}/force-delete"
"""On a Workspace: "true" ends a deletion without waiting for the platform."""

ACCESS_SECRET = "pyairtable-access"  # noqa: S105 - the name of a Secret
"""Name of the access-key Secret in every tenant namespace: fixed, so that RBAC can name it."""
