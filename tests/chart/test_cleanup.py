"""The script that removes all Workspaces before the operator goes, run with the rights that the chart gives it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest
import yaml
from chart_kit.rendering import CHART, NAMESPACE, component, of_kind, rendered
from kubernetes_kit.plane import install_crds
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.control_plane import ControlPlane

SCRIPT = CHART / "files" / "remove_workspaces.py"
FINALIZER = "pyairtable.dev/workspace"
WORKSPACES = "/apis/pyairtable.dev/v1alpha1/workspaces"


@pytest.fixture
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """With the definitions, and the account and roles of the hook."""
    install_crds(control_plane)
    hook = [body for body in rendered("demo") if component(body) == "cleanup"]
    wanted = yaml.safe_dump_all(of_kind(tuple(hook), "ServiceAccount", "ClusterRole", "ClusterRoleBinding"))
    control_plane.kubectl("apply", "--server-side", "-f", "-", input=wanted)
    yield control_plane
    control_plane.kubectl("delete", "-f", "-", input=wanted)
    control_plane.kubectl("delete", "-f", CHART / "files" / "crds", "--wait=false")
    eventually(lambda: control_plane.api.get(WORKSPACES).status_code == 404)


def make(plane: ControlPlane, *, finalizer: bool) -> str:
    name = f"cleanup-{uuid4().hex[:6]}"
    metadata = {"name": name, "finalizers": [FINALIZER] if finalizer else []}
    body = {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": metadata,
        "spec": {"displayName": "A"},
    }
    plane.kubectl("apply", "-f", "-", input=json.dumps(body))
    return name


def run(plane: ControlPlane, timeout: float) -> subprocess.CompletedProcess[str]:
    config = plane.kubeconfig_for_service_account(NAMESPACE, "pyairtable-cleanup")
    command = [sys.executable, str(SCRIPT), "--timeout", str(timeout)]
    environment = {"KUBECONFIG": str(config), "PATH": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def finish(plane: ControlPlane, name: str) -> bool:
    """Do the operator's part: take the finalizer off once the Workspace is being deleted."""
    workspace = plane.api.get(f"{WORKSPACES}/{name}").json()
    if "deletionTimestamp" not in workspace["metadata"]:
        return False
    headers = {"content-type": "application/merge-patch+json"}
    patch = json.dumps({"metadata": {"finalizers": None}})
    return bool(plane.api.patch(f"{WORKSPACES}/{name}", content=patch, headers=headers).is_success)


def test_it_waits_until_the_operator_has_finished(plane: ControlPlane) -> None:
    plain, slow = make(plane, finalizer=False), make(plane, finalizer=True)
    operator = threading.Thread(target=lambda: eventually(lambda: finish(plane, slow)))
    operator.start()
    done = run(plane, timeout=60)
    operator.join()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"deleting workspace {plain} (deletionPolicy Retain)" in done.stdout
    assert plane.api.get(WORKSPACES).json()["items"] == []


def test_it_fails_with_names_when_the_operator_does_not_finish(plane: ControlPlane) -> None:
    stuck = make(plane, finalizer=True)
    done = run(plane, timeout=0)
    assert done.returncode == 1
    assert f"still there: {stuck}" in done.stdout
    assert "pyairtable.dev/force-delete=true" in done.stdout
    assert eventually(lambda: finish(plane, stuck))


def test_there_is_nothing_to_do_without_workspaces_or_their_definition(plane: ControlPlane) -> None:
    assert run(plane, timeout=0).returncode == 0
    plane.kubectl("delete", "-f", CHART / "files" / "crds")
    eventually(lambda: plane.api.get(WORKSPACES).status_code == 404)
    done = run(plane, timeout=0)
    assert done.returncode == 0, done.stdout + done.stderr
    install_crds(plane)
