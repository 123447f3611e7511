"""The store: what is older is not taken, and each workspace is told of what concerns it and of nothing else."""

from typing import Any

import pytest

from pyairtable_operator.manifests import ObjectKey
from pyairtable_operator.store import Store


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def store(told: list[str]) -> Store:
    store = Store(told.append)
    store.changed("Workspace", _workspace("acme"))
    told.clear()
    return store


def _workspace(name: str, version: int = 1, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}, "spec": spec}


def _object(name: str, version: int, namespace: str = "ws-acme", workspace: str = "acme", **content: Any) -> Any:
    labels = {"pyairtable.dev/workspace": workspace, "app.kubernetes.io/managed-by": "pyairtable-operator"}
    metadata = {"name": name, "namespace": namespace, "resourceVersion": str(version), "uid": "u", "labels": labels}
    return {"metadata": metadata, **content}


KEY = ObjectKey("ResourceQuota", "ws-acme", "pyairtable")


def test_an_older_version_changes_nothing(store: Store, told: list[str]) -> None:
    store.changed("ResourceQuota", _object("pyairtable", 9, spec={"hard": {"pods": "9"}}))
    kept = store.essence(KEY)
    store.changed("ResourceQuota", _object("pyairtable", 8, spec={"hard": {"pods": "8"}}))
    assert store.essence(KEY) == kept and told == ["acme"]
    store.gone(*KEY, version="8")
    assert store.essence(KEY) == kept


def test_our_own_write_heard_again_makes_no_pass(store: Store, told: list[str]) -> None:
    body = _object("pyairtable", 9, spec={"hard": {"pods": "9"}})
    store.changed("ResourceQuota", body)
    told.clear()
    store.changed("ResourceQuota", body)
    assert told == []


def test_a_deletion_is_told_to_the_workspace(store: Store, told: list[str]) -> None:
    store.changed("ResourceQuota", _object("pyairtable", 9))
    told.clear()
    store.gone(*KEY)
    assert told == ["acme"] and store.essence(KEY) is None and store.of_workspace("acme") == {}


def test_a_moved_label_is_told_to_both(store: Store, told: list[str]) -> None:
    store.changed("Workspace", _workspace("other"))
    store.changed("ResourceQuota", _object("pyairtable", 9, namespace="elsewhere"))
    told.clear()
    store.changed("ResourceQuota", _object("pyairtable", 10, namespace="elsewhere", workspace="other"))
    assert set(told) == {"acme", "other"}
    assert store.of_workspace("acme") == {} and list(store.of_workspace("other")) == [
        ObjectKey("ResourceQuota", "elsewhere", "pyairtable")
    ]


def test_a_binding_of_the_tenant_concerns_the_workspace_of_its_namespace(store: Store, told: list[str]) -> None:
    body = _object("mine", 5, spec={"baseId": "appAAAAAAAAAAAAAA"})
    body["metadata"]["labels"] = {}
    store.changed("BaseBinding", body)
    assert told == ["acme"]
    assert [item["metadata"]["name"] for item in store.bindings("ws-acme")] == ["mine"]


def test_a_foreign_namespace_of_the_name_concerns_the_workspace(store: Store, told: list[str]) -> None:
    store.changed("Namespace", {"metadata": {"name": "ws-acme", "resourceVersion": "3", "uid": "n"}})
    assert told == ["acme"]
    assert store.essence(ObjectKey("Namespace", "", "ws-acme"))


def test_the_workspaces_that_use_a_secret_are_known(store: Store) -> None:
    store.changed("Workspace", _workspace("other", airtable={"tokenSecretRef": {"name": "shared"}}))
    assert store.users_of("shared") == ["other"]
    store.gone("Workspace", "", "other")
    assert store.users_of("shared") == [] and store.workspaces() == ["acme"]
