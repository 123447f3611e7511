"""The life of a release on a real API server: install, upgrade, roll back, uninstall, and again.

Without nodes no pod runs, so hooks are left out and nothing is waited for; what is held is what the API server stores.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from chart_kit.rendering import CHART, VALUES

from pyairtable_devkit.cluster.control_plane import ControlPlane

NAMESPACE = "chart-release"
CREDENTIALS = "chart-release-credentials"
RELEASE = "pyairtable"
OWN = ("--set", f"credentials.namespace.name={CREDENTIALS}")
KINDS = (
    "deployments,services,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,"
    "horizontalpodautoscalers,jobs,clusterroles,clusterrolebindings,validatingadmissionpolicies,"
    "validatingadmissionpolicybindings"
)


@pytest.fixture
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    yield control_plane
    control_plane.helm("uninstall", RELEASE, "-n", NAMESPACE, "--no-hooks", "--ignore-not-found")
    control_plane.kubectl("delete", "namespace", NAMESPACE, CREDENTIALS, "--ignore-not-found", "--wait=false")
    crds = ("workspaces.pyairtable.dev", "basebindings.pyairtable.dev")
    control_plane.kubectl("delete", "customresourcedefinitions", *crds, "--ignore-not-found")


def release(plane: ControlPlane, verb: str, *arguments: str) -> str:
    values = ("--values", str(VALUES["demo"]), *OWN, "--no-hooks")
    more = ("--create-namespace",) if verb == "install" else ()
    return plane.helm(verb, RELEASE, str(CHART), "-n", NAMESPACE, *values, *more, *arguments).stdout


def there(plane: ControlPlane) -> set[str]:
    """Kind and name of everything of the release that is stored, apart from definitions and namespaces."""
    selector = ("-l", f"app.kubernetes.io/part-of=pyairtable,app.kubernetes.io/instance={RELEASE}")
    answer = plane.kubectl("get", KINDS, "-A", *selector, "-o", "name").stdout
    return set(answer.split())


def stored(plane: ControlPlane, kind: str, name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(plane.kubectl("get", kind, name, "-n", namespace, "-o", "json").stdout)
    return body


def test_the_life_of_a_release(plane: ControlPlane) -> None:
    notes = release(plane, "install")
    assert "kubectl wait workspaces/acme --for=condition=Ready" in notes
    first, keys = there(plane), stored(plane, "secret", "pyairtable-credentials")["data"]
    assert "deployment.apps/pyairtable-operator" in first
    plane.kubectl("wait", "crd/workspaces.pyairtable.dev", "--for=condition=Established", "--timeout=60s")
    document = {"apiVersion": "pyairtable.dev/v1alpha1", "kind": "Workspace", "metadata": {"name": "kept"}}
    plane.kubectl("apply", "-f", "-", input=json.dumps({**document, "spec": {"displayName": "Kept"}}))

    refused_upgrade(plane)
    reports = "services.reports.httpPort=8010,services.reports.grpcPort=9010"
    release(plane, "upgrade", "--set", "services.auth.replicas=3", "--set", reports)
    assert stored(plane, "deployment", "pyairtable-auth")["spec"]["replicas"] == 3
    assert "deployment.apps/pyairtable-reports" in there(plane)
    assert stored(plane, "secret", "pyairtable-credentials")["data"] == keys, "made once, kept for ever"

    plane.helm("rollback", RELEASE, "1", "-n", NAMESPACE, "--no-hooks")
    assert stored(plane, "deployment", "pyairtable-auth")["spec"]["replicas"] == 1
    assert there(plane) == first
    assert stored(plane, "secret", "pyairtable-credentials")["data"] == keys

    to_servers_outside(plane)
    plane.helm("uninstall", RELEASE, "-n", NAMESPACE, "--no-hooks")
    assert there(plane) == set()
    assert stored(plane, "workspace", "kept")["spec"]["displayName"] == "Kept"
    assert stored(plane, "namespace", CREDENTIALS)["status"]["phase"] == "Active"

    release(plane, "install")
    assert there(plane) == first, "what was kept is taken up again"


def refused_upgrade(plane: ControlPlane) -> None:
    """Contradictory values change nothing and leave no failed revision behind."""
    before = stored(plane, "deployment", "pyairtable-auth")["metadata"]["generation"]
    values = ("--values", str(VALUES["demo"]), *OWN, "--set", "images.services.tag=latest")
    done = plane.helm("upgrade", RELEASE, str(CHART), "-n", NAMESPACE, *values, "--no-hooks", check=False)
    assert done.returncode != 0
    assert "means something else tomorrow" in done.stderr
    assert stored(plane, "deployment", "pyairtable-auth")["metadata"]["generation"] == before
    history = json.loads(plane.helm("history", RELEASE, "-n", NAMESPACE, "-o", "json").stdout)
    assert [one["status"] for one in history] == ["deployed"]


def to_servers_outside(plane: ControlPlane) -> None:
    """The other profile's objects replace the demo's; what pods select by never changes, so nothing is refused."""
    production = ("--values", str(VALUES["production"]), *OWN)
    plane.helm("upgrade", RELEASE, str(CHART), "-n", NAMESPACE, *production, "--no-hooks", "--reset-values")
    left = there(plane)
    assert not [name for name in left if "demo" in name]
    assert "secret/pyairtable-credentials" not in left
    assert "horizontalpodautoscaler.autoscaling/pyairtable-api-gateway" in left
