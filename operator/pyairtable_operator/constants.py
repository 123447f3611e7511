"""Names that stand in every object of ours, in one place because a change of one orphans what was made before."""

from __future__ import annotations

GROUP = "pyairtable.dev"
"""API group of the custom resources."""

VERSION = "v1alpha1"
"""Version of the custom resources."""

API_VERSION = f"{GROUP}/{VERSION}"
"""As it stands in `apiVersion`."""

WORKSPACE_LABEL = f"{GROUP}/workspace"
"""Label that opts a Secret in to a workspace, and marks what belongs to one."""
