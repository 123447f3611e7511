"""A Kubernetes control plane on this machine: its programs, its keys, its processes, and the system beside it."""
