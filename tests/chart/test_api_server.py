"""A real API server takes what the chart renders: every object by dry run, every pod under the restricted profile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from chart_kit.rendering import FOREIGN_GROUPS, VALUES, pod_templates, rendered
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.control_plane import ControlPlane

RESTRICTED = "chart-restricted"


@pytest.mark.parametrize("name", VALUES)
def test_the_api_server_takes_every_object(control_plane: ControlPlane, name: str) -> None:
    bodies = [body for body in rendered(name) if not body["apiVersion"].startswith(FOREIGN_GROUPS)]
    options = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--output=name")
    done = control_plane.kubectl("apply", *options, "--filename=-", input=yaml.safe_dump_all(bodies))
    assert len(done.stdout.splitlines()) == len(bodies)
    assert "Warning" not in done.stderr


@pytest.fixture(scope="module")
def restricted(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """A namespace that refuses pods that are not restricted."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RESTRICTED, "labels": labels}}
    control_plane.api.post("/api/v1/namespaces", json=body).raise_for_status()
    account = f"/api/v1/namespaces/{RESTRICTED}/serviceaccounts/default"
    eventually(lambda: control_plane.api.get(account).is_success)
    yield control_plane
    control_plane.kubectl("delete", "namespace", RESTRICTED, "--wait=false")


@pytest.mark.parametrize("name", VALUES)
def test_every_pod_is_admitted_under_the_restricted_profile(restricted: ControlPlane, name: str) -> None:
    for owner, template in pod_templates(rendered(name)).items():
        spec = {key: value for key, value in template["spec"].items() if key != "serviceAccountName"}
        answer = dry_run(restricted, spec)
        assert answer.status_code == 201, f"{owner}: {answer.text}"
        assert "Warning" not in answer.headers, owner


def test_a_pod_that_is_not_restricted_is_refused(restricted: ControlPlane) -> None:
    template = next(iter(pod_templates(rendered("minimal")).values()))
    spec = json.loads(json.dumps(template["spec"]))
    spec.pop("serviceAccountName", None)
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    assert dry_run(restricted, spec).status_code == 403


def dry_run(plane: ControlPlane, spec: dict[str, Any]) -> Any:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": spec}
    path = f"/api/v1/namespaces/{RESTRICTED}/pods"
    return plane.api.post(path, params={"dryRun": "All", "fieldValidation": "Strict"}, json=body)
