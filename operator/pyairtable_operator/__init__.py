"""Reconciles `Workspace` and `BaseBinding` resources into namespaces, secrets and Airtable base bindings.

This distribution holds the names that the resources go by. The reconciler is not part of this version: a `Workspace`
document is read from a file by the `workspaces` service until then.
"""

__version__ = "0.1.0"
