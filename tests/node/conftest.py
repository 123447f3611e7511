"""One cluster with a node for all tests of a package; what is under tests/node/ carries the mark `node`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes_kit.node_cluster import NodeCluster, running_node_cluster

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.node)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """A cluster in which pods run: use namespaces of your own."""
    with running_node_cluster(tmp_path_factory.mktemp("node")) as running:
        yield running
