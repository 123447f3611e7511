"""The multi-tenancy benchmarks by role: what RBAC lets tenants, their programs and the platform's people do.

After the checks of the Kubernetes multi-tenancy working group (kubectl-mtb): CPI-1, CPI-2, TI-1, TI-2, PL2-TI-1, OPS-3,
OPS-4, FNS-1.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import pytest
from kubernetes_kit.callers import Body, Caller, Requests
from kubernetes_kit.guarded import (
    APP,
    DEFAULT_ACCOUNT,
    OPERATOR,
    OTHER_OWNER,
    OWNER,
    PLAIN,
    SYSTEM,
    VIEWER,
    Guarded,
)

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
TENANTS = {"owner": OWNER, "default account": DEFAULT_ACCOUNT, "app account": APP}
ABOUT_ONESELF = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
"""Every user of a cluster may ask what he himself may do."""


def may(requests: Requests, caller: Caller, verb: str, resource: str, **where: str) -> bool:
    """Ask the authorizer. `resource` is group/plural or group/plural/subresource; the core group is empty."""
    group, _, rest = resource.partition("/")
    plural, _, subresource = rest.partition("/")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource, **where}
    groups = ["system:authenticated"]
    if caller.user.startswith("system:serviceaccount:"):
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{caller.user.split(':')[2]}"]
    spec = {"user": caller.user, "groups": groups, "resourceAttributes": attributes}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = requests.api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json=body)
    return bool(answer.raise_for_status().json()["status"]["allowed"])


@cache
def resources(requests: Requests, *, namespaced: bool) -> list[str]:
    """Every kind that the server has, as group/plural."""
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    found = []
    for path in ("/api", "/apis"):
        for group in requests.api.get(path, headers={"Accept": accept}).json()["items"]:
            name = group["metadata"].get("name", "")
            for one in group["versions"][0].get("resources", ()):
                if (one["scope"] == "Namespaced") == namespaced:
                    found.append(f"{name}/{one['resource']}")
    return found


def allowed(requests: Requests, caller: Caller, kinds: list[str], **where: str) -> set[tuple[str, str]]:
    """What of all verbs and kinds a caller may do."""
    return {(verb, kind) for verb, kind in product(VERBS, kinds) if may(requests, caller, verb, kind, **where)}


@pytest.mark.parametrize("who", TENANTS)
def test_cpi_1_tenants_have_no_right_on_cluster_resources(requests: Requests, who: str) -> None:
    kinds = [kind for kind in resources(requests, namespaced=False) if kind.rpartition("/")[2] not in ABOUT_ONESELF]
    assert len(kinds) > 20
    assert allowed(requests, TENANTS[who], kinds) == set()


def test_an_owner_reads_his_own_workspace_and_no_other(requests: Requests) -> None:
    kind = "pyairtable.dev/workspaces"
    assert [verb for verb in VERBS if may(requests, OWNER, verb, kind, name="acme")] == ["get"]
    assert [verb for verb in VERBS if may(requests, OWNER, verb, kind, name="beta")] == []
    assert [verb for verb in VERBS if may(requests, OWNER, verb, f"{kind}/status", name="acme")] == []
    assert not any(may(requests, APP, verb, kind, name="acme") for verb in VERBS)


@pytest.mark.parametrize("who", TENANTS)
@pytest.mark.parametrize("inside", ["ws-beta", "kube-system", SYSTEM, "pyairtable-credentials", PLAIN])
def test_ti_2_tenants_have_no_right_elsewhere(requests: Requests, who: str, inside: str) -> None:
    kinds = [
        *("/pods", "/pods/exec", "/pods/ephemeralcontainers", "/secrets", "/configmaps", "/serviceaccounts"),
        *("/serviceaccounts/token", "/services", "/pods/log", "apps/deployments", "batch/jobs"),
        *("rbac.authorization.k8s.io/roles", "rbac.authorization.k8s.io/rolebindings"),
        *("networking.k8s.io/networkpolicies", "pyairtable.dev/basebindings"),
    ]
    assert allowed(requests, TENANTS[who], kinds, namespace=inside) == set()


@pytest.mark.parametrize("who", ["default account", "app account"])
def test_programs_of_a_tenant_have_no_right_in_their_own_namespace(requests: Requests, who: str) -> None:
    kinds = resources(requests, namespaced=True)
    local = "authorization.k8s.io/localsubjectaccessreviews"
    assert allowed(requests, TENANTS[who], [kind for kind in kinds if kind != local], namespace="ws-acme") == set()


def test_cpi_2_what_holds_a_tenant_is_not_his(requests: Requests) -> None:
    held = ["/resourcequotas", "/limitranges", "/endpoints", "discovery.k8s.io/endpointslices"]
    assert {verb for verb, _ in allowed(requests, OWNER, held, namespace="ws-acme")} == {"get", "list", "watch"}
    none = [
        *("/resourcequotas/status", "/namespaces", "/namespaces/finalize", "/namespaces/status", "/services/status"),
        *("/pods/binding", "pyairtable.dev/workspaces"),
    ]
    writes = {
        (verb, kind) for verb, kind in allowed(requests, OWNER, none, namespace="ws-acme") if verb not in VERBS[:3]
    }
    assert writes == set()


@pytest.mark.parametrize("who", TENANTS)
@pytest.mark.parametrize("verb", ["escalate", "bind", "impersonate"])
def test_pl2_ti_1_nobody_gets_more_than_he_has(requests: Requests, who: str, verb: str) -> None:
    kinds = ["rbac.authorization.k8s.io/roles", "rbac.authorization.k8s.io/clusterroles", "/users", "/groups"]
    kinds += ["/serviceaccounts"] if verb == "impersonate" else []
    assert [kind for kind in kinds if may(requests, TENANTS[who], verb, kind, namespace="ws-acme")] == []


def test_ops_3_an_owner_shares_what_he_has_and_no_more(requests: Requests) -> None:
    def role(**rule: Any) -> Body:
        return named("Role", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], **rule}])

    assert requests.create(role(), OWNER).accepted
    for rule in ({"resources": ["resourcequotas"], "verbs": ["update"]}, {"verbs": ["*"]}, {"resources": ["nodes"]}):
        answer = requests.create(role(**rule), OWNER)
        assert answer.status == 403
        assert "attempting to grant RBAC permissions not currently held" in answer.message
    for kind, name in (
        ("ClusterRole", "cluster-admin"),
        ("ClusterRole", "admin"),
        ("ClusterRole", "pyairtable-operator"),
    ):
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        assert requests.create(named("RoleBinding", roleRef=ref, subjects=[]), OWNER).status == 403
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "pyairtable-owner"}
    assert requests.create(named("RoleBinding", roleRef=ref, subjects=[]), OWNER).accepted


def named(kind: str, **content: Any) -> Body:
    metadata = {"name": "own", "namespace": "ws-acme"}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, **content}


SELF_SERVICE = [
    *("/pods", "/services", "/configmaps", "/secrets", "/serviceaccounts", "/persistentvolumeclaims"),
    *("apps/deployments", "apps/statefulsets", "batch/jobs", "batch/cronjobs", "networking.k8s.io/networkpolicies"),
    *("rbac.authorization.k8s.io/roles", "rbac.authorization.k8s.io/rolebindings", "pyairtable.dev/basebindings"),
]


def test_ops_4_an_owner_runs_his_namespace_himself(requests: Requests) -> None:
    assert len(allowed(requests, OWNER, SELF_SERVICE, namespace="ws-acme")) == len(VERBS) * len(SELF_SERVICE)
    assert may(requests, OWNER, "create", "/pods/exec", namespace="ws-acme")


def test_fns_1_the_quota_is_there_before_the_owner(guarded: Guarded) -> None:
    """What confines is applied before what grants: no moment without a quota."""
    kinds = [body["kind"] for body in guarded.managed["acme"]]
    assert kinds.index("ResourceQuota") < kinds.index("RoleBinding")
    assert kinds.index("NetworkPolicy") < kinds.index("RoleBinding")


def test_viewers_of_the_platform_write_nothing_and_see_no_secret(requests: Requests) -> None:
    kinds = [*SELF_SERVICE, "pyairtable.dev/workspaces", "pyairtable.dev/workspaces/status", "/namespaces"]
    found = allowed(requests, VIEWER, kinds, namespace="ws-acme")
    assert {verb for verb, _ in found} == {"get", "list", "watch"}
    assert ("get", "pyairtable.dev/workspaces") in found
    assert ("get", "/secrets") not in found
    assert not any(may(requests, VIEWER, verb, "/secrets", namespace="pyairtable-credentials") for verb in VERBS)


@pytest.mark.parametrize("inside", ["ws-acme", "kube-system", PLAIN])
def test_the_operator_sees_no_secret_but_its_own(requests: Requests, inside: str) -> None:
    others = {verb for verb in VERBS if may(requests, OPERATOR, verb, "/secrets", namespace=inside, name="theirs")}
    anything = {verb for verb in VERBS if may(requests, OPERATOR, verb, "/secrets", namespace=inside)}
    assert others == anything == set()
    assert may(requests, OPERATOR, "patch", "/secrets", namespace=inside, name="pyairtable-access")


def test_the_operator_has_no_way_to_other_powers(requests: Requests) -> None:
    wanted = [
        *(("create", kind) for kind in ("/pods", "/pods/exec", "/serviceaccounts/token", "apps/deployments")),
        *(("impersonate", kind) for kind in ("/users", "/groups", "/serviceaccounts")),
        *((verb, "rbac.authorization.k8s.io/clusterroles") for verb in ("escalate", "bind")),
        *((verb, "admissionregistration.k8s.io/validatingadmissionpolicies") for verb in VERBS),
        *((verb, "apiextensions.k8s.io/customresourcedefinitions") for verb in ("create", "update", "patch", "delete")),
        *((verb, "pyairtable.dev/workspaces") for verb in ("create", "delete", "deletecollection")),
        *(("get", kind) for kind in ("/nodes/proxy", "/configmaps")),
    ]
    assert [one for one in wanted if may(requests, OPERATOR, *one, namespace="ws-acme")] == []


@pytest.mark.parametrize("caller", [OWNER, OTHER_OWNER], ids=["acme", "beta"])
def test_ti_1_a_quota_holds(requests: Requests, caller: Caller) -> None:
    """A pod over the quota is refused at once (no pod runs here, so one that is too big stands for many)."""
    inside = "ws-acme" if caller is OWNER else "ws-beta"
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "c", "image": "example.com/c", "securityContext": context}
    big = {**container, "resources": {"requests": {"cpu": "5"}, "limits": {"cpu": "5"}}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": inside}}
    spec = {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}}
    assert requests.create({**pod, "spec": {**spec, "containers": [container]}}, caller).accepted
    answer = requests.create({**pod, "spec": {**spec, "containers": [big]}}, caller)
    assert answer.status == 403
    assert "exceeded quota: pyairtable" in answer.message
