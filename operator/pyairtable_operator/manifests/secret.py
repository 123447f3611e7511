"""The Secret with a tenant's access key and the addresses it is for, made for `envFrom`."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from pyairtable_operator import constants
from pyairtable_operator.manifests.manifest import Manifest, TenantConfig, manifest
from pyairtable_operator.spec import Workspace


def access_secret(
    workspace: Workspace, key: str | None, annotations: Mapping[str, str], config: TenantConfig
) -> Manifest:
    """`annotations` come from access_keys. Without a key: all of the Secret but the key, for comparing only."""
    values = {
        "PYAIRTABLE_WORKSPACE": workspace.name,
        "PYAIRTABLE_REST_URL": config.rest_url,
        "PYAIRTABLE_GRPC_TARGET": config.grpc_target,
        "PYAIRTABLE_MCP_URL": config.mcp_url,
        "PYAIRTABLE_AIRTABLE_URL": config.airtable_url,
    }
    if key is not None:
        values[constants.KEY_DATA] = key
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    content = {"type": "Opaque", "data": data}
    return manifest(workspace, "v1", "Secret", constants.ACCESS_SECRET, content, annotations=annotations)
