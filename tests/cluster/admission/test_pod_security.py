"""Pod Security `restricted` in a tenant's namespace: pods for each of its checks, refused and admitted.

The checks and their names are those of the Pod Security Standards; the pods follow the fixtures of
k8s.io/pod-security-admission.
"""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes_kit.callers import Body, Requests
from kubernetes_kit.guarded import OWNER, Guarded

GOOD_CONTEXT: Body = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
GOOD_POD: Body = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def pod(
    *, context: Body | None = None, container: Body | None = None, security: Body | None = None, **spec: Any
) -> Body:
    """A restricted pod with changes in the container's or pod's security context, the container or the spec."""
    one = {"name": "c", "image": "example.com/c", "securityContext": {**GOOD_CONTEXT, **(context or {})}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ws-acme"},
        "spec": {
            "securityContext": {**GOOD_POD, **(security or {})},
            "containers": [{**one, **(container or {})}],
            **spec,
        },
    }


def volume(**source: Any) -> list[Body]:
    return [{"name": "v", **source}]


BAD_CONTAINER = {"name": "x", "image": "example.com/x"}

REFUSED: list[tuple[str, Body]] = [
    ("hostNetwork", pod(hostNetwork=True)),
    ("hostPID", pod(hostPID=True)),
    ("hostIPC", pod(hostIPC=True)),
    ("hostPort", pod(container={"ports": [{"containerPort": 80, "hostPort": 80}]})),
    ("privileged", pod(context={"privileged": True, "allowPrivilegeEscalation": True})),
    ("unrestricted capabilities", pod(context={"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}})),
    ("unrestricted capabilities", pod(context={"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}})),
    ("unrestricted capabilities", pod(context={"capabilities": {}})),
    ("unrestricted capabilities", pod(context={"capabilities": {"drop": ["NET_RAW"]}})),
    ("allowPrivilegeEscalation != false", pod(context={"allowPrivilegeEscalation": True})),
    ("allowPrivilegeEscalation != false", pod(context={"allowPrivilegeEscalation": None})),
    ("runAsNonRoot != true", pod(security={"runAsNonRoot": None})),
    ("runAsNonRoot != true", pod(security={"runAsNonRoot": False})),
    ("runAsNonRoot != true", pod(context={"runAsNonRoot": False})),
    ("runAsUser=0", pod(security={"runAsUser": 0})),
    ("runAsUser=0", pod(context={"runAsUser": 0})),
    ("seccompProfile", pod(security={"seccompProfile": None})),
    ("seccompProfile", pod(security={"seccompProfile": {"type": "Unconfined"}})),
    ("seccompProfile", pod(context={"seccompProfile": {"type": "Unconfined"}})),
    ("restricted volume types", pod(volumes=volume(hostPath={"path": "/"}))),
    ("restricted volume types", pod(volumes=volume(nfs={"server": "x", "path": "/"}))),
    ("restricted volume types", pod(volumes=volume(iscsi={"targetPortal": "x", "iqn": "iqn.2000-01.x:y", "lun": 0}))),
    ("forbidden sysctls", pod(security={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]})),
    ("procMount", pod(context={"procMount": "Unmasked"}, hostUsers=False)),
    ("seLinuxOptions", pod(security={"seLinuxOptions": {"type": "spc_t"}})),
    ("seLinuxOptions", pod(security={"seLinuxOptions": {"user": "root"}})),
    ("forbidden AppArmor profile", pod(security={"appArmorProfile": {"type": "Unconfined"}})),
    ("hostProcess", pod(security={"windowsOptions": {"hostProcess": True}}, hostNetwork=True)),
    ("probe", pod(container={"livenessProbe": {"httpGet": {"host": "203.0.113.7", "port": 80}}})),
    ("allowPrivilegeEscalation != false", pod(initContainers=[BAD_CONTAINER])),
]

ADMITTED: list[tuple[str, Body]] = [
    ("plain", pod()),
    ("bind low ports", pod(context={"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}})),
    ("non-root by container", pod(security={"runAsNonRoot": None}, context={"runAsNonRoot": True})),
    ("user", pod(security={"runAsUser": 1000})),
    ("local profile", pod(security={"seccompProfile": {"type": "Localhost", "localhostProfile": "x.json"}})),
    (
        "profile by container",
        pod(security={"seccompProfile": None}, context={"seccompProfile": {"type": "RuntimeDefault"}}),
    ),
    ("emptyDir", pod(volumes=volume(emptyDir={}))),
    ("projected", pod(volumes=volume(projected={"sources": []}))),
    ("configMap", pod(volumes=volume(configMap={"name": "x"}))),
    ("secret", pod(volumes=volume(secret={"secretName": "x"}))),
    ("claim", pod(volumes=volume(persistentVolumeClaim={"claimName": "x"}))),
    ("downward", pod(volumes=volume(downwardAPI={"items": []}))),
    ("safe sysctl", pod(security={"sysctls": [{"name": "net.ipv4.ping_group_range", "value": "0 1"}]})),
    ("SELinux type", pod(security={"seLinuxOptions": {"type": "container_t"}})),
    ("init container", pod(initContainers=[{**BAD_CONTAINER, "securityContext": GOOD_CONTEXT}])),
    ("user namespace", pod(hostUsers=False)),
]


@pytest.mark.parametrize(("check", "body"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_a_pod_that_breaks_a_check_is_refused(guarded: Guarded, requests: Requests, check: str, body: Body) -> None:
    assert guarded.managed
    answer = requests.create(body, OWNER)
    assert answer.status == 403
    assert 'violates PodSecurity "restricted:latest"' in answer.message
    assert check in answer.message


@pytest.mark.parametrize("body", [body for _, body in ADMITTED], ids=[name for name, _ in ADMITTED])
def test_a_restricted_pod_is_admitted(guarded: Guarded, requests: Requests, body: Body) -> None:
    assert guarded.managed
    answer = requests.create(body, OWNER)
    assert answer.accepted, answer.message


def test_a_debug_container_is_held_to_it_too(requests: Requests) -> None:
    made = {**pod(), "metadata": {"name": "debugged", "namespace": "ws-acme"}}
    assert requests.create(made, OWNER, real=True).accepted
    try:
        bad = {"spec": {"ephemeralContainers": [{**BAD_CONTAINER, "securityContext": {"privileged": True}}]}}
        answer = requests.send(
            "PATCH",
            "/api/v1/namespaces/ws-acme/pods/debugged/ephemeralcontainers",
            OWNER,
            bad,
            real=False,
            content_type="application/strategic-merge-patch+json",
        )
        assert answer.status == 403
        assert "violates PodSecurity" in answer.message
    finally:
        requests.api.delete("/api/v1/namespaces/ws-acme/pods/debugged?gracePeriodSeconds=0")
