"""What the operator declares, the API server gives back so that nothing seems to differ; what is tampered with does."""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from kubernetes_kit.tenant_documents import minimal_document, rich_document, workspace_of

from pyairtable_devkit.cluster.control_plane import ControlPlane
from pyairtable_operator import access_keys, compare, decide
from pyairtable_operator.constants import FIELD_MANAGER
from pyairtable_operator.kinds import KINDS
from pyairtable_operator.manifests import Manifest, TenantConfig, binding_objects, tenant_objects
from pyairtable_operator.spec import Workspace

CONFIG = TenantConfig()
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
Tamper = Callable[[dict[str, Any]], None]


class Cluster:
    """Writes and reads objects as the operator does, and as somebody who tampers does."""

    def __init__(self, api: httpx2.Client) -> None:
        self.api = api

    def path(self, manifest: Manifest) -> str:
        return KINDS[manifest.kind].path(manifest.namespace, manifest.name)

    def apply(self, manifest: Manifest, manager: str = FIELD_MANAGER, body: Any = None) -> dict[str, Any]:
        """Server-side apply, by force."""
        answer = self.api.patch(
            self.path(manifest),
            params={"fieldManager": manager, "force": "true"},
            headers={"content-type": "application/apply-patch+yaml"},
            json=manifest.body if body is None else body,
        )
        assert answer.is_success, answer.text
        return dict(answer.json())

    def get(self, manifest: Manifest) -> dict[str, Any]:
        answer = self.api.get(self.path(manifest))
        assert answer.is_success, answer.text
        return dict(answer.json())

    def change(self, manifest: Manifest, change: Tamper) -> None:
        """As `kubectl edit` does; again when a controller was quicker."""
        for _ in range(20):
            body = self.get(manifest)
            change(body)
            answer = self.api.put(self.path(manifest), params={"fieldManager": "vandal"}, json=body)
            if answer.status_code != 409:
                break
        assert answer.is_success, answer.text

    def delete(self, manifest: Manifest) -> None:
        self.api.request("DELETE", self.path(manifest), json={"gracePeriodSeconds": 0})


@pytest.fixture(scope="module")
def cluster(crds: ControlPlane) -> Cluster:
    return Cluster(crds.api)


def all_objects(workspace: Workspace) -> list[Manifest]:
    decision = access_keys.decide(None, workspace, CONFIG, NOW)
    made = access_keys.new_key(bytes(range(access_keys.RANDOM_BYTES)))
    record = access_keys.new_record(made, decision, workspace, NOW)
    secret = access_keys.secret_manifest(workspace, made.key, record, CONFIG)
    return [*tenant_objects(workspace, CONFIG), secret, *binding_objects(workspace)]


RICH = {
    f"{manifest.kind} {manifest.name}": manifest for manifest in all_objects(workspace_of(rich_document("normal-form")))
}


@pytest.fixture(scope="module")
def rich(cluster: Cluster) -> Iterator[dict[str, Manifest]]:
    """The objects of a rich workspace, applied."""
    for manifest in RICH.values():
        cluster.apply(manifest)
    yield RICH
    for manifest in reversed(RICH.values()):
        cluster.delete(manifest)


@pytest.mark.parametrize("name", RICH)
def test_nothing_differs_after_apply(cluster: Cluster, rich: dict[str, Manifest], name: str) -> None:
    manifest = rich[name]
    observed = compare.essence(cluster.get(manifest))
    assert compare.differences(manifest, observed) == []
    again = cluster.apply(manifest)
    assert compare.essence(again) == observed


def test_nothing_differs_for_a_minimal_workspace(cluster: Cluster) -> None:
    objects = all_objects(workspace_of(minimal_document("normal-form-small")))
    try:
        for manifest in objects:
            assert compare.differences(manifest, compare.essence(cluster.apply(manifest))) == []
    finally:
        for manifest in reversed(objects):
            cluster.delete(manifest)


def put(*path: str, value: Any) -> Tamper:
    return lambda body: _step_down(body, path[:-1]).__setitem__(path[-1], value)


def drop(*path: str) -> Tamper:
    return lambda body: _step_down(body, path[:-1]).__delitem__(path[-1])


def add(*path: str, value: Any) -> Tamper:
    """To a list, which need not be there."""

    def change(body: dict[str, Any]) -> None:
        parent = _step_down(body, path[:-1])
        parent[path[-1]] = [*parent.get(path[-1], []), value]

    return change


def _step_down(body: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        body = body[int(name)] if isinstance(body, list) else body[name]
    return body


EVIL = base64.b64encode(b"https://elsewhere.example").decode()
ANYWHERE = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}
SUBJECT = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}
RULE = {"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["delete"]}
NAMESPACE = "Namespace ws-normal-form"
TOKEN = "automountServiceAccountToken"
CLUSTER_ROLE = "pyairtable:workspace:normal-form"

TERMINATING = {"matchExpressions": [{"scopeName": "Terminating", "operator": "Exists"}]}
AGGREGATED = {"clusterRoleSelectors": [{"matchLabels": {"x": "y"}}]}
ENFORCE, WARN = "pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/warn"
LABEL, UID_NOTE, KEY_NOTE = "pyairtable.dev/workspace", "pyairtable.dev/workspace-uid", "pyairtable.dev/key-id"

NS, QUOTA, LIMITS = NAMESPACE, "ResourceQuota pyairtable", "LimitRange pyairtable"
DENY, DNS, DOORS = (f"NetworkPolicy pyairtable-{name}" for name in ("default-deny", "allow-dns", "allow-platform"))
ROLE, BINDING, SECRET = "Role pyairtable-owner", "RoleBinding pyairtable-owners", "Secret pyairtable-access"

TAMPERED = [
    (NS, put("metadata", "labels", ENFORCE, value="privileged"), f"metadata.labels[{ENFORCE}]"),
    (NS, drop("metadata", "labels", WARN), f"metadata.labels[{WARN}]"),
    (NS, drop("metadata", "labels", LABEL), f"metadata.labels[{LABEL}]"),
    (NS, drop("metadata", "annotations", UID_NOTE), f"metadata.annotations[{UID_NOTE}]"),
    (QUOTA, put("spec", "hard", "pods", value="2000"), "spec.hard.pods"),
    (QUOTA, drop("spec", "hard", "requests.cpu"), "spec.hard[requests.cpu]"),
    (QUOTA, put("spec", "scopeSelector", value=TERMINATING), "spec.scopeSelector"),
    (LIMITS, put("spec", "limits", "0", "default", "cpu", value="8"), "spec.limits"),
    (LIMITS, put("spec", "limits", "0", "max", value={"cpu": "9"}), "spec.limits"),
    (LIMITS, put("spec", "limits", value=[]), "spec.limits"),
    (DENY, add("spec", "egress", value=ANYWHERE), "spec.egress"),
    (DENY, add("spec", "ingress", value={}), "spec.ingress"),
    (DENY, put("spec", "policyTypes", value=["Ingress"]), "spec.policyTypes"),
    (DENY, put("spec", "podSelector", value={"matchLabels": {"a": "b"}}), "spec.podSelector"),
    (DNS, put("spec", "egress", "0", "ports", value=[]), "spec.egress"),
    (DOORS, put("spec", "egress", "0", "to", "0", "namespaceSelector", value={}), "spec.egress"),
    (DOORS, drop("spec", "egress", "0", "to", "0", "podSelector"), "spec.egress"),
    (DOORS, add("spec", "ingress", value={"from": [{"podSelector": {}}]}), "spec.ingress"),
    ("ServiceAccount pyairtable-app", put(TOKEN, value=True), TOKEN),
    ("ServiceAccount pyairtable-app", drop(TOKEN), TOKEN),
    (ROLE, add("rules", value=RULE), "rules"),
    (ROLE, put("rules", "0", "verbs", value=["*"]), "rules"),
    (ROLE, put("rules", value=[]), "rules"),
    (BINDING, add("subjects", value=SUBJECT), "subjects"),
    (BINDING, put("subjects", value=[]), "subjects"),
    (f"ClusterRole {CLUSTER_ROLE}", put("rules", "0", "resourceNames", value=[]), "rules"),
    (f"ClusterRole {CLUSTER_ROLE}", put("aggregationRule", value=AGGREGATED), "aggregationRule"),
    (f"ClusterRoleBinding {CLUSTER_ROLE}", add("subjects", value=SUBJECT), "subjects"),
    (SECRET, put("data", "PYAIRTABLE_REST_URL", value=EVIL), "data.PYAIRTABLE_REST_URL"),
    (SECRET, put("data", "PYAIRTABLE_API_KEY", value=EVIL), "data.PYAIRTABLE_API_KEY"),
    (SECRET, drop("data", "PYAIRTABLE_API_KEY"), "data.PYAIRTABLE_API_KEY"),
    (SECRET, drop("metadata", "annotations", KEY_NOTE), f"metadata.annotations[{KEY_NOTE}]"),
    (SECRET, put("immutable", value=True), "immutable"),
    ("BaseBinding crm", put("spec", "access", value="ReadOnly"), "spec.access"),
    ("BaseBinding stock", put("spec", "default", value=True), "spec.default"),
    ("BaseBinding stock", put("spec", "tables", value=[]), "spec.tables"),
    ("BaseBinding stock", add("spec", "tables", value="Payroll"), "spec.tables"),
    ("BaseBinding crm", add("spec", "tables", value="Payroll"), "spec.tables"),
]


@pytest.mark.parametrize(("name", "tamper", "field"), TAMPERED)
def test_tampering_is_named_and_taken_back(
    cluster: Cluster, rich: dict[str, Manifest], name: str, tamper: Tamper, field: str
) -> None:
    manifest = rich[name]
    cluster.change(manifest, tamper)
    observed = compare.essence(cluster.get(manifest))
    assert field in compare.differences(manifest, observed)

    action = decide.step(manifest, observed)
    assert action is not None
    if action.kind is decide.ActionKind.RECREATE:
        cluster.delete(manifest)
    repaired = compare.essence(cluster.apply(manifest))
    assert compare.differences(manifest, repaired) == []


def test_what_others_add_beside_ours_is_left_alone(cluster: Cluster, rich: dict[str, Manifest]) -> None:
    additions = [
        (NS, put("metadata", "labels", "team", value="blue")),
        (NS, put("metadata", "annotations", "note", value="mine")),
        (QUOTA, put("spec", "hard", "services.nodeports", value="0")),
        (SECRET, put("data", "OWN_SETTING", value=EVIL)),
        ("ServiceAccount pyairtable-app", put("imagePullSecrets", value=[{"name": "registry"}])),
    ]
    for name, change in additions:
        cluster.change(rich[name], change)
        assert compare.differences(rich[name], compare.essence(cluster.get(rich[name]))) == []


def test_another_applier_of_a_field_is_a_conflict_and_an_editor_is_not(
    cluster: Cluster, rich: dict[str, Manifest]
) -> None:
    quota = rich[QUOTA]
    theirs = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": quota.name}}
    cluster.apply(quota, "gitops", {**theirs, "spec": {"hard": {"pods": "99"}}})
    action = decide.step(quota, compare.essence(cluster.get(quota)))
    assert action is not None
    assert action.kind is decide.ActionKind.CONFLICT
    assert action.conflicts == (compare.Conflict("gitops", "spec.hard.pods"),)

    cluster.apply(quota, "gitops", theirs)
    action = decide.step(quota, compare.essence(cluster.get(quota)))
    assert action is not None
    assert action.kind is decide.ActionKind.UPDATE
    assert decide.step(quota, compare.essence(cluster.apply(quota))) is None


def test_a_binding_to_another_role_is_made_anew(cluster: Cluster, rich: dict[str, Manifest]) -> None:
    binding = rich[BINDING]
    cluster.delete(binding)
    body = {**binding.body, "roleRef": {**binding.body["roleRef"], "name": "admin"}}
    answer = cluster.api.post(KINDS["RoleBinding"].path(binding.namespace), json=body)
    assert answer.is_success, answer.text
    action = decide.step(binding, compare.essence(answer.json()))
    assert action is not None
    assert action.kind is decide.ActionKind.RECREATE
    assert action.fields == ("roleRef.name: admin -> pyairtable-owner",)
    cluster.delete(binding)
    assert decide.step(binding, compare.essence(cluster.apply(binding))) is None
