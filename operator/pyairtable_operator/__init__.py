"""Reconciles `Workspace` and `BaseBinding` resources into namespaces, secrets and Airtable base bindings.

`main` wires it, `reconcile` is a pass over one workspace. The rules that it follows (`spec`, `manifests`, `compare`,
`decide`, `access_keys`, `credentials`, `bases`, `conditions`, `status`) are functions without I/O; what reaches the
cluster (`kube`, `watches`, `lease`) knows nothing of workspaces.
"""

__version__ = "0.1.0"
