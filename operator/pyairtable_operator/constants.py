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

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
"""On managed objects: FIELD_MANAGER. The watches select by it."""

PART_OF_LABEL = "app.kubernetes.io/part-of"
"""On managed objects and on the platform's pods: PART_OF."""

PART_OF = "pyairtable"
"""Value of `app.kubernetes.io/part-of`."""

KEY_ID_ANNOTATION = f"{GROUP}/key-id"
"""On the access Secret: the public part of its key."""

KEY_HASH_ANNOTATION = f"{GROUP}/key-sha256"
"""On the access Secret: SHA-256 of its key, so that a key that somebody else put there is noticed."""

ROTATED_AT_ANNOTATION = f"{GROUP}/rotated-at"
"""On the access Secret: when its key was made."""

ROTATION_REQUEST_ANNOTATION = f"{GROUP}/rotation-request"
"""On the access Secret: the value of ROTATE_ANNOTATION that was honoured last."""

PREVIOUS_KEY_ANNOTATION = f"{GROUP}/previous-key"
"""On the access Secret: the key before, as JSON (keyId, sha256, expiresAt); never the key."""

ACCEPT_SCHEMA_ANNOTATION = f"{GROUP}/accept-schema"
"""On a BaseBinding: the fingerprint of the schema that is accepted from now on, or "true" for whatever it is."""

KEY_DATA = "PYAIRTABLE_API_KEY"
"""Key of the access Secret's data that holds the access key."""
