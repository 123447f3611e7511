"""A tools folder."""

from pathlib import Path

import pytest

MODULES = {
    "etcd": "go.etcd.io/etcd/server/v3 v3.7.3",
    "kubernetes": "k8s.io/kubernetes v1.36.3",
    "helm": "helm.sh/helm/v4 v4.3.1",
}


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Go modules that pin versions as those of the repository do."""
    for name, line in MODULES.items():
        folder = tmp_path / "tools" / name
        folder.mkdir(parents=True)
        text = f"module x\n\ngo 1.26.0\n\nrequire (\n\texample.org/k8s.io/kubernetes v9.9.9\n\t{line} // indirect\n)\n"
        (folder / "go.mod").write_text(text)
    return tmp_path / "tools"
