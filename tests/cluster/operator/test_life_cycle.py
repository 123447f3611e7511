"""A Workspace from `kubectl apply` to Ready, through every change of its spec, to its end."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from kubernetes_kit.operator_process import OperatorProcess
from kubernetes_kit.platform_double import PlatformDouble
from kubernetes_kit.tenant import Tenant
from kubernetes_kit.tenants import sha256

from pyairtable_devkit.cluster.control_plane import ControlPlane

EVERYTHING = {
    "BaseBinding crm",
    "ClusterRole pyairtable:workspace:{0}",
    "ClusterRoleBinding pyairtable:workspace:{0}",
    "LimitRange pyairtable",
    "Namespace ws-{0}",
    "NetworkPolicy pyairtable-allow-dns",
    "NetworkPolicy pyairtable-allow-platform",
    "NetworkPolicy pyairtable-default-deny",
    "ResourceQuota pyairtable",
    "Role pyairtable-owner",
    "RoleBinding pyairtable-owners",
    "Secret pyairtable-access",
    "ServiceAccount pyairtable-app",
}


def test_a_workspace_becomes_ready_with_all_its_objects_and_the_platform_knows_it(
    tenant: Tenant, platform: PlatformDouble
) -> None:
    tenant.create()
    tenant.wait()

    assert set(tenant.objects()) == {name.format(tenant.name) for name in EVERYTHING}
    data = {
        name: base64.b64decode(value).decode()
        for name, value in tenant.get("Secret", "pyairtable-access")["data"].items()
    }
    assert data["PYAIRTABLE_WORKSPACE"] == tenant.name and data["PYAIRTABLE_REST_URL"].startswith("http")
    entry = platform.state.registry[tenant.name]
    assert [base.base_id for base in entry.bases] == [tenant.base_id]
    assert entry.source.uid == tenant.workspace()["metadata"]["uid"]
    (declared,) = platform.state.keys[tenant.name].values()
    assert declared.sha256 == sha256(data["PYAIRTABLE_API_KEY"])


def test_every_condition_is_there_and_speaks_of_this_generation(tenant: Tenant) -> None:
    tenant.create()
    tenant.wait()
    status = tenant.status()
    assert {one["type"] for one in status["conditions"]} == {
        "NamespaceReady", "CredentialsValid", "AccessKeyIssued", "BasesBound", "PlatformSynced", "NetworkIsolated",
        "SchemaCurrent", "Ready",
    }  # fmt: skip
    assert {one["observedGeneration"] for one in status["conditions"]} == {1}
    assert (status["phase"], status["bases"], status["namespace"]) == ("Ready", "1/1", tenant.namespace)
    assert len(status["inventory"]) == len(EVERYTHING)


def test_a_second_pass_writes_nothing(tenant: Tenant, operator: OperatorProcess, platform: PlatformDouble) -> None:
    tenant.create()
    tenant.wait()
    tenant.until(lambda: tenant.get("BaseBinding", "crm")["status"]["conditions"], "the binding's status")
    before, calls, passes = tenant.versions(), platform.state.calls.copy(), _passes(operator)
    # An annotation that nobody asks for makes a pass, and changes the resourceVersion of the Workspace only.
    tenant.annotate(nothing="in-particular")
    tenant.until(lambda: _passes(operator) > passes, "a pass")
    tenant.annotate(nothing=None)
    tenant.until(lambda: _passes(operator) > passes + 1, "another pass")
    after = tenant.versions()
    assert before.pop("Workspace") != after.pop("Workspace")
    assert after == before
    assert platform.state.calls == calls


def _passes(operator: OperatorProcess) -> float:
    return operator.metric("pyairtable_operator_reconciles")


def test_kopf_and_we_leave_no_foreign_mark(tenant: Tenant) -> None:
    tenant.create()
    tenant.wait()
    for one in [tenant.workspace(), *tenant.objects().values()]:
        marks = [*(one["metadata"].get("annotations") or {}), *(one["metadata"].get("finalizers") or ())]
        assert not [mark for mark in marks if "kopf" in mark or "zalando" in mark]
    assert tenant.workspace()["metadata"]["finalizers"] == ["pyairtable.dev/workspace"]


@pytest.mark.parametrize(
    ("change", "kind", "name", "path", "value"),
    [
        ({"namespace": {"quota": {"pods": "20"}}}, "ResourceQuota", "pyairtable", "spec.hard.pods", "20"),
        ({"namespace": {"podSecurity": "baseline"}}, "Namespace", "{ns}",
         "metadata.labels.pod-security~kubernetes~io/enforce", "baseline"),
        ({"owners": [{"kind": "Group", "name": "painters"}]}, "RoleBinding", "pyairtable-owners", "subjects.0.name",
         "painters"),
        ({"owners": []}, "RoleBinding", "pyairtable-owners", "", None),
        ({"owners": []}, "ClusterRole", "pyairtable:workspace:{name}", "", None),
        ({"namespace": {"networkPolicy": "Off"}}, "NetworkPolicy", "pyairtable-default-deny", "", None),
        ({"namespace": {"quota": None}}, "ResourceQuota", "pyairtable", "", None),
        ({"airtable": {"bases": []}}, "BaseBinding", "crm", "", None),
    ],
)  # fmt: skip
def test_a_change_of_the_spec_reaches_the_object(
    tenant: Tenant, change: dict[str, Any], kind: str, name: str, path: str, value: Any
) -> None:
    tenant.create()
    tenant.wait()
    name = name.format(ns=tenant.namespace, name=tenant.name)
    assert tenant.get(kind, name)
    tenant.change(**change)
    tenant.until(lambda: _at(tenant.get(kind, name) or None, path) == value, f"{kind} {path} = {value}")
    tenant.wait()


def _at(body: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        part = part.replace("~", ".")
        body = body[int(part)] if isinstance(body, list) else (body or {}).get(part)
    return body


def test_suspending_cuts_access_and_keeps_everything(tenant: Tenant, platform: PlatformDouble) -> None:
    tenant.create()
    tenant.wait()
    key = tenant.key()
    tenant.change(suspend=True)
    tenant.wait("Ready", "False", "Suspended")
    assert platform.state.registry[tenant.name].suspended
    assert tenant.key() == key and tenant.status()["phase"] == "Suspended"
    tenant.change(suspend=False)
    tenant.wait()
    assert not platform.state.registry[tenant.name].suspended
    assert tenant.key() == key


def test_the_plan_annotation_shows_the_steps_and_does_none(tenant: Tenant, platform: PlatformDouble) -> None:
    tenant.create(annotations={"pyairtable.dev/plan": "true"})
    tenant.wait("Ready", "False", "Planned")
    plan = tenant.status()["plan"]
    assert {step["action"] for step in plan} == {"Create"}
    assert "ResourceQuota" in {step["kind"] for step in plan}
    assert not tenant.get("Namespace", tenant.namespace)
    assert tenant.name not in platform.state.registry
    tenant.annotate(plan=None)
    tenant.wait()
    assert "plan" not in tenant.status()


def test_a_plan_for_a_change_names_the_field(tenant: Tenant) -> None:
    tenant.create()
    tenant.wait()
    tenant.annotate(plan="true")
    tenant.wait("Ready", "False", "Planned")
    tenant.change(namespace={"quota": {"pods": "33"}})
    tenant.until(lambda: tenant.status().get("plan"), "a plan")
    (step,) = tenant.status()["plan"]
    assert (step["action"], step["kind"]) == ("Update", "ResourceQuota") and "spec.hard.pods" in step["fields"][0]
    assert tenant.get("ResourceQuota", "pyairtable")["spec"]["hard"]["pods"] == "10"


def test_kubectl_tells_the_truth(tenant: Tenant, cluster: ControlPlane) -> None:
    tenant.create()
    cluster.kubectl("wait", f"pws/{tenant.name}", "--for=condition=Ready", "--timeout=60s")
    row = cluster.kubectl("get", "pws", tenant.name, "--no-headers").stdout.split()
    assert row[:5] == [tenant.name, "True", "Ready", tenant.namespace, "1/1"]
    selected = cluster.kubectl("get", "pws", "--field-selector", "status.phase=Ready", "-o", "name").stdout
    assert f"workspace.pyairtable.dev/{tenant.name}" in selected

    def told() -> set[str]:
        listed = json.loads(cluster.kubectl("get", "events.v1.events.k8s.io", "-n", "default", "-o", "json").stdout)
        return {event["reason"] for event in listed["items"] if event["regarding"]["name"] == tenant.name}

    tenant.until(lambda: told() >= {"AccessKeyIssued", "Ready"}, "its Events")
