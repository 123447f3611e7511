"""How workspaces that calls make come and go, on one machine and in a cluster."""
