"""A BaseBinding in the tenant namespace for each base of the Workspace."""

from __future__ import annotations

from pyairtable_operator import constants
from pyairtable_operator.manifests.manifest import Manifest, manifest
from pyairtable_operator.spec import Base, Workspace


def binding_objects(workspace: Workspace) -> list[Manifest]:
    """One for each base, under the base's name."""
    return [_binding(workspace, base) for base in workspace.spec.airtable.bases]


def _binding(workspace: Workspace, base: Base) -> Manifest:
    spec = {"baseId": base.base_id, "access": base.access, "default": base.default, "tables": list(base.tables)}
    return manifest(workspace, constants.API_VERSION, "BaseBinding", base.name, {"spec": spec})
