"""The container images: built by the engine that is there, as archives that any engine and containerd load."""
