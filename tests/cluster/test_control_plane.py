"""The control plane does what the operator relies on, survives restarts, and leaves nothing behind."""

import json
import os
from pathlib import Path
from uuid import uuid4

import httpx2
import psutil
import pytest
from kubernetes_kit.plane import require_programs, running_control_plane
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.control_plane import ControlPlane, ControlPlaneError
from pyairtable_devkit.ports import is_free

pytestmark = pytest.mark.slow


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    name = f"test-{uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", name)
    return name


def test_controllers_give_a_namespace_its_service_account_and_remove_it_again(
    control_plane: ControlPlane, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    eventually(lambda: control_plane.api.get(f"{path}/serviceaccounts/default").is_success)
    control_plane.kubectl("delete", "namespace", namespace, "--wait=false")
    eventually(lambda: control_plane.api.get(path).status_code == 404)


def test_quota_status_is_kept(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "quota", "small", "--hard=configmaps=7", "-n", namespace)
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/small"
    eventually(lambda: control_plane.api.get(path).json()["status"].get("hard") == {"configmaps": "7"})


def test_pod_security_is_enforced(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    eventually(lambda: control_plane.api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default").is_success)
    done = control_plane.kubectl("run", "bad", "--image=example/none:1", "-n", namespace, check=False)
    assert done.returncode != 0
    assert "violates PodSecurity" in done.stderr


def test_nobody_gets_in_without_credentials_but_to_ask_for_health(control_plane: ControlPlane) -> None:
    import ssl

    trust = ssl.create_default_context(cafile=str(control_plane.ca_file))
    with httpx2.Client(base_url=control_plane.server_url, verify=trust, trust_env=False) as anybody:
        assert anybody.get("/readyz").status_code == 200
        assert anybody.get("/version").status_code == 401
        assert anybody.get("/api").status_code == 401


def test_users_are_who_their_certificate_says(control_plane: ControlPlane) -> None:
    config = control_plane.kubeconfig_for("ada@acme.example", ["builders"])
    who = json.loads(control_plane.kubectl("auth", "whoami", "-o", "json", kubeconfig=config).stdout)
    assert who["status"]["userInfo"]["username"] == "ada@acme.example"
    assert "builders" in who["status"]["userInfo"]["groups"]
    with control_plane.client(config) as ada:
        assert ada.get("/api/v1/secrets").status_code == 403


def test_service_accounts_get_tokens(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "serviceaccount", "robot", "-n", namespace)
    with control_plane.client(control_plane.kubeconfig_for_service_account(namespace, "robot")) as robot:
        answer = robot.get(f"/api/v1/namespaces/{namespace}/secrets")
    assert answer.status_code == 403
    assert f"system:serviceaccount:{namespace}:robot" in answer.text
    with pytest.raises(ControlPlaneError, match="No token for ServiceAccount"):
        control_plane.token(namespace, "nobody")


def test_the_dump_holds_values_as_they_are_stored(control_plane: ControlPlane, namespace: str) -> None:
    canary = f"canary-{uuid4().hex}"
    control_plane.kubectl("create", "secret", "generic", "hidden", f"--from-literal=token={canary}", "-n", namespace)
    assert canary.encode() in control_plane.etcd_dump()
    keys = [key for key, value in control_plane.etcd_items("/registry/secrets/") if canary.encode() in value]
    assert keys == [f"/registry/secrets/{namespace}/hidden"]


def test_the_audit_log_says_who_asked_for_what(control_plane: ControlPlane, namespace: str) -> None:
    config = control_plane.kubeconfig_for("auditee")
    mark = control_plane.audit_mark()
    with control_plane.client(config) as client:
        client.get(f"/api/v1/namespaces/{namespace}/secrets/one")
    (event,) = eventually(lambda: control_plane.audit_events(mark, user="auditee"))
    assert (event["verb"], event["objectRef"]["name"]) == ("get", "one")
    assert event["responseStatus"]["code"] == 403


def test_helm_answers(control_plane: ControlPlane) -> None:
    assert json.loads(control_plane.helm("list", "-A", "-o", "json").stdout) == []


def test_it_survives_restarts_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "plane"
    with ControlPlane.running(require_programs(), environment=os.environ, folder=folder) as plane:
        plane.kubectl("create", "configmap", "kept", "-n", "default")
        processes = [psutil.Process(pid) for pid in plane.pids.values()]
        plane.restart_apiserver(hard=True)
        assert plane.kubectl("get", "configmap", "kept").stdout
        plane.stop()
        assert plane.pids == {}
        plane.start()
        assert plane.kubectl("get", "configmap", "kept").stdout
        processes += [psutil.Process(pid) for pid in plane.pids.values()]
        ports = [plane.ports.api_server, plane.ports.etcd, plane.ports.etcd_peer]
    assert not folder.exists()
    assert not any(process.is_running() for process in processes)
    assert all(map(is_free, ports))


def test_a_process_that_ends_by_itself_is_reported() -> None:
    with running_control_plane(audit=False) as plane:
        psutil.Process(plane.pid("etcd")).kill()
        eventually(lambda: "etcd ended with exit code -9" in plane.failure())
        with pytest.raises(ControlPlaneError, match="keeps no audit log"):
            plane.audit_events()
