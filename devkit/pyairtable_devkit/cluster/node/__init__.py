"""A Kubernetes node on this machine, in namespaces of its own, so that it ends whole and leaves nothing behind."""
