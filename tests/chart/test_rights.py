"""Least privilege: each ServiceAccount can do what rbac_table.yaml says, by its roles and before the API server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import yaml
from chart_kit.rendering import NAMESPACE, RELEASE, VALUES, Body, component, identity, of_kind, rendered
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.control_plane import ControlPlane
from pyairtable_operator.manifests.access import OWNER_RULES

TABLE: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(
    (Path(__file__).parent / "rbac_table.yaml").read_text(encoding="utf-8")
)
Rights = Mapping[str, Mapping[str, Mapping[str, str]]]
OPERATOR = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-operator"


def rights(bodies: tuple[Body, ...]) -> Rights:
    """Account (component), scope, resource and verbs, from all roles that are bound."""
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    roles = {identity(body): body for body in of_kind(bodies, "Role", "ClusterRole")}
    for binding in of_kind(bodies, "RoleBinding", "ClusterRoleBinding"):
        namespace = binding["metadata"].get("namespace", "")
        role = roles[f"{binding['roleRef']['kind']} {namespace}{'/' if namespace else ''}{binding['roleRef']['name']}"]
        scope = "cluster" if binding["kind"] == "ClusterRoleBinding" else namespace
        for subject in binding["subjects"]:
            assert subject["kind"] == "ServiceAccount"
            assert subject["namespace"] == NAMESPACE
            account = subject["name"].removeprefix(f"{RELEASE}-")
            for resource, verbs in granted(role["rules"]):
                before = found[account][scope].get(resource, "").split()
                found[account][scope][resource] = " ".join(sorted({*before, *verbs}))
    return found


def granted(rules: list[dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    for rule in rules:
        assert "nonResourceURLs" not in rule
        names = f" [{', '.join(rule['resourceNames'])}]" if "resourceNames" in rule else ""
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                yield f"{resource}{f'.{group}' if group else ''}{names}", rule["verbs"]


@pytest.mark.parametrize("name", ["demo", "production"])
def test_accounts_can_do_what_the_table_says(name: str) -> None:
    assert rights(rendered(name)) == TABLE


@pytest.mark.parametrize("name", VALUES)
def test_nothing_is_granted_by_wildcard(name: str) -> None:
    for role in of_kind(rendered(name), "Role", "ClusterRole"):
        assert "*" not in str(role["rules"]), identity(role)


@pytest.mark.parametrize("name", VALUES)
def test_nobody_reads_all_secrets_of_the_cluster(name: str) -> None:
    for role in of_kind(rendered(name), "ClusterRole"):
        for rule in role["rules"]:
            assert "secrets" not in rule["resources"] or rule["resourceNames"] == ["pyairtable-access"]


def test_the_roles_for_people_are_bound_to_nobody_and_only_reading_is_aggregated() -> None:
    bodies = rendered("demo")
    people = {component(body): body for body in of_kind(bodies, "ClusterRole") if component(body) in PEOPLE}
    assert people.keys() == PEOPLE
    assert not [body for body in of_kind(bodies, "ClusterRoleBinding") if component(body) in PEOPLE]
    aggregated = {name for name, body in people.items() if "aggregate-to" in str(body["metadata"]["labels"])}
    assert aggregated == {"viewer"}
    assert {verb for _, verbs in granted(people["viewer"]["rules"]) for verb in verbs} == {"get", "list", "watch"}
    assert "aggregate-to" not in str(of_kind(rendered("external"), "ClusterRole"))


PEOPLE = {"viewer", "workspace-admin"}


def test_without_rbac_no_right_is_made() -> None:
    from chart_kit.rendering import CHART, objects, run_helm

    done = run_helm("template", RELEASE, CHART, "-f", VALUES["demo"], "--set", "rbac.create=false")
    kinds = {body["kind"] for body in objects(done.stdout)}
    assert not kinds & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


# -- before the API server


@pytest.fixture(scope="module")
def roles_applied(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The chart's accounts, roles and admission policies, with a tenant namespace and one that is none."""
    kinds = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")
    wanted = of_kind(rendered("demo"), *kinds, "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    text = yaml.safe_dump_all(wanted)
    control_plane.kubectl("apply", "--server-side", "-f", "-", input=text)
    yield control_plane
    control_plane.kubectl("delete", "--ignore-not-found", "-f", "-", input=text)


def may(plane: ControlPlane, user: str, verb: str, resource: str, namespace: str = "", name: str = "") -> bool:
    resource, _, group = resource.partition(".")
    resource, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "resource": resource, "subresource": subresource, "group": group}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": {**attributes, "namespace": namespace, "name": name}},
    }
    answer = plane.api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json=review).raise_for_status()
    return bool(answer.json()["status"]["allowed"])


def test_the_api_server_reads_the_roles_as_the_table_does(roles_applied: ControlPlane) -> None:
    for account, scopes in TABLE.items():
        user = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-{account}"
        for scope, resources in scopes.items():
            namespace = {"cluster": ""}.get(scope, scope)
            for resource, verbs in resources.items():
                plain, _, name = resource.removesuffix("]").partition(" [")
                for verb in verbs.split():
                    assert may(roles_applied, user, verb, plain, namespace, name), f"{account} {verb} {resource}"


FORBIDDEN = (
    ("get", "secrets", NAMESPACE, ""),
    ("list", "secrets", "", ""),
    ("get", "secrets", "ws-acme", "somebody-elses"),
    ("create", "pods", NAMESPACE, ""),
    ("create", "pods/exec", NAMESPACE, ""),
    ("create", "serviceaccounts/token", NAMESPACE, ""),
    ("impersonate", "users", "", ""),
    ("escalate", "clusterroles.rbac.authorization.k8s.io", "", ""),
    ("bind", "clusterroles.rbac.authorization.k8s.io", "", "cluster-admin"),
    ("escalate", "roles.rbac.authorization.k8s.io", "ws-acme", "another"),
    ("update", "workspaces.pyairtable.dev", "", ""),
    ("create", "workspaces/status.pyairtable.dev", "", ""),
    ("patch", "workspaces/finalizers.pyairtable.dev", "", ""),
    ("patch", "customresourcedefinitions.apiextensions.k8s.io", "", ""),
    ("patch", "validatingadmissionpolicies.admissionregistration.k8s.io", "", ""),
)


@pytest.mark.parametrize("account", [*TABLE, "api-gateway", "mcp-server", "users", "sagas"])
def test_what_nobody_may(roles_applied: ControlPlane, account: str) -> None:
    user = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-{account}"
    for verb, resource, namespace, name in FORBIDDEN:
        assert not may(roles_applied, user, verb, resource, namespace, name), f"{account} {verb} {resource}"


def who_may(plane: ControlPlane, verb: str, resource: str, namespace: str = "") -> set[str]:
    """The release's accounts that may, by component."""
    names = [body["metadata"]["name"] for body in of_kind(rendered("demo"), "ServiceAccount")]
    users = {name.removeprefix(f"{RELEASE}-"): f"system:serviceaccount:{NAMESPACE}:{name}" for name in names}
    return {account for account, user in users.items() if may(plane, user, verb, resource, namespace)}


def test_only_the_operator_and_the_workspace_service_write_workspaces(roles_applied: ControlPlane) -> None:
    def who(verb: str) -> set[str]:
        return who_may(roles_applied, verb, "workspaces.pyairtable.dev")

    assert who("create") == {"workspaces"}
    assert who("patch") == {"workspaces", "operator"}
    assert who("delete") == {"workspaces", "cleanup"}
    assert who("list") == {"operator", "cleanup"}


def test_credentials_are_read_by_two_accounts_and_listed_by_one(roles_applied: ControlPlane) -> None:
    def who(verb: str) -> set[str]:
        return who_may(roles_applied, verb, "secrets", "pyairtable-credentials")

    assert who("get") == {"airtable-gateway", "llm-orchestrator"}
    assert who("list") == who("watch") == {"operator"}
    assert who("create") == who("patch") == who("delete") == set()


@pytest.fixture
def operator(roles_applied: ControlPlane) -> Iterator[httpx2.Client]:
    """The API as the operator's account sees it."""
    config = roles_applied.kubeconfig_for_service_account(NAMESPACE, f"{RELEASE}-operator")
    with roles_applied.client(config) as client:
        yield client


def applied(client: httpx2.Client, path: str, body: Mapping[str, Any]) -> httpx2.Response:
    """Server-side apply as the operator sends it."""
    return client.patch(
        path,
        params={"fieldManager": "pyairtable-operator", "force": "true"},
        headers={"content-type": "application/apply-patch+yaml"},
        content=yaml.safe_dump(dict(body)),
    )


def test_the_operator_can_make_what_a_tenant_gets_and_no_more(
    roles_applied: ControlPlane, operator: httpx2.Client
) -> None:
    tenant = f"ws-t{uuid4().hex[:8]}"  # begins with a letter: 7195e025 would be a number in YAML
    namespace = {"apiVersion": "v1", "kind": "Namespace"}
    labels = {"pyairtable.dev/workspace": tenant.removeprefix("ws-")}
    made = applied(
        operator, f"/api/v1/namespaces/{tenant}", {**namespace, "metadata": {"name": tenant, "labels": labels}}
    )
    assert made.status_code == 201, made.text

    def role(name: str, rules: list[dict[str, Any]], where: str = tenant) -> httpx2.Response:
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{where}/roles/{name}"
        body = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": name},
            "rules": rules,
        }
        return applied(operator, path, body)

    def binding(name: str) -> httpx2.Response:
        body = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name.removesuffix("s")},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada@acme.example"}],
        }
        return applied(operator, f"/apis/rbac.authorization.k8s.io/v1/namespaces/{tenant}/rolebindings/{name}", body)

    def secret(name: str) -> httpx2.Response:
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"a": "b"}}
        return applied(operator, f"/api/v1/namespaces/{tenant}/secrets/{name}", body)

    assert role("pyairtable-owner", OWNER_RULES).status_code == 201
    assert binding("pyairtable-owners").status_code == 201
    eventually(lambda: may(roles_applied, "ada@acme.example", "create", "deployments.apps", tenant))
    assert secret("pyairtable-access").status_code == 201
    assert role("another", OWNER_RULES).status_code == 403
    assert secret("another").status_code == 403
    assert eventually(lambda: role("pyairtable-owner", OWNER_RULES, "kube-system").status_code == 403)
    listed = operator.get("/api/v1/secrets", params={"fieldSelector": "metadata.name=pyairtable-access"})
    assert [item["metadata"]["namespace"] for item in listed.json()["items"]] == [tenant]
    assert operator.get("/api/v1/secrets").status_code == 403
    roles_applied.kubectl("delete", "namespace", tenant, "--wait=false")


def test_the_operator_keeps_its_lease_and_no_other(roles_applied: ControlPlane, operator: httpx2.Client) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "pyairtable-operator"}}
    made = operator.post(path, json={**lease, "spec": {"holderIdentity": "a"}})
    assert made.status_code == 201, made.text
    assert operator.put(f"{path}/pyairtable-operator", json=made.json()).status_code == 200
    assert operator.get(f"{path}/another").status_code == 403
    roles_applied.kubectl("delete", "lease", "pyairtable-operator", "-n", NAMESPACE)
