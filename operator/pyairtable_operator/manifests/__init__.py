"""The objects that a workspace is to have, as pure functions of the Workspace and of what all tenants share.

They are written in the form in which the API server gives them back, so that they can be compared with what the
watches tell.
"""

from __future__ import annotations

from pyairtable_operator.manifests.access import owner_rights, service_account
from pyairtable_operator.manifests.bindings import binding_objects
from pyairtable_operator.manifests.manifest import Manifest, ObjectKey, TenantConfig
from pyairtable_operator.manifests.namespace import namespace, quotas
from pyairtable_operator.manifests.network import policies
from pyairtable_operator.manifests.secret import access_secret
from pyairtable_operator.spec import Workspace

__all__ = ["Manifest", "ObjectKey", "TenantConfig", "access_secret", "binding_objects", "tenant_objects"]


def tenant_objects(workspace: Workspace, config: TenantConfig, *, adopted: bool = False) -> list[Manifest]:
    """All but the bindings and the access Secret, in order of application: what confines comes before what grants."""
    return [
        namespace(workspace, adopted=adopted),
        *policies(workspace, config),
        *quotas(workspace),
        service_account(workspace),
        *owner_rights(workspace),
    ]
