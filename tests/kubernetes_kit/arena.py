"""Where faults are let loose: a control plane, the proxy before it, the platform's double, and operators by fork.

The operator is a ServiceAccount with exactly the rights that the chart gives it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml
from google.protobuf.json_format import MessageToDict
from kubernetes_kit import tenants
from kubernetes_kit.api_calls import Call
from kubernetes_kit.api_proxy import ApiProxy
from kubernetes_kit.operator_process import CREDENTIALS_NAMESPACE, OPERATOR_NAMESPACE
from kubernetes_kit.operator_zygote import ForkedOperator, Zygote
from kubernetes_kit.plane import REPOSITORY
from kubernetes_kit.platform_double import PlatformDouble
from kubernetes_kit.tenants import WORKSPACES
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.control_plane import ControlPlane

Body = dict[str, Any]
CHART = REPOSITORY / "charts" / "pyairtable"
RIGHTS = ("operator/rbac.yaml", "credentials.yaml", "serviceaccounts.yaml")
MERGE = {"Content-Type": "application/merge-patch+json"}
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/pyairtable-operator"


def install_rights(plane: ControlPlane) -> None:
    """The operator's namespaces, ServiceAccount and roles, as the chart renders them."""
    plane.kubectl("create", "namespace", OPERATOR_NAMESPACE, check=False)
    shown = [item for name in RIGHTS for item in ("--show-only", f"templates/{name}")]
    values = ("-n", OPERATOR_NAMESPACE, "-f", CHART / "values-demo.yaml")
    rendered = plane.helm("template", "pyairtable", CHART, *values, *shown).stdout
    documents = [one for one in yaml.safe_load_all(rendered) if one]
    for one in documents:
        if one["kind"] in ("Role", "RoleBinding", "ServiceAccount"):
            one["metadata"].setdefault("namespace", OPERATOR_NAMESPACE)  # as `helm install` would
    text = yaml.safe_dump_all(documents)
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=text)


@dataclass
class Arena:
    """Everything that a fault test needs; the operator is started by the test."""

    plane: ControlPlane
    proxy: ApiProxy
    platform: PlatformDouble
    zygote: Zygote
    kubeconfig: Path
    made: set[str] = field(default_factory=set)
    platform_calls: list[tuple[str, str]] = field(default_factory=list)
    """RPC and workspace of each call that changes something, in order."""
    _kill_at: tuple[str, int] | None = None
    _current: ForkedOperator | None = None

    def __post_init__(self) -> None:
        self.platform.state.before_write = self._heard

    # -- the operator

    def new_operator(
        self, name: str = "operator-a", *, constants: Mapping[str, float] | None = None, **env: str
    ) -> ForkedOperator:
        """An operator behind the proxy; not started."""
        return ForkedOperator(
            self.zygote,
            self.kubeconfig,
            self.platform.env,
            name=name,
            server_url=self.proxy.url,
            env={"RESYNC_SECONDS": "2", **env},
            constants=constants,
        )

    @property
    def operator(self) -> ForkedOperator:
        assert self._current is not None, "no operator runs"
        return self._current

    def start(self, *, constants: Mapping[str, float] | None = None, **env: str) -> ForkedOperator:
        """Start the operator in place of one that was killed, whose Lease nobody waits for."""
        self.end()
        self.plane.api.delete(LEASE)
        self._current = self.new_operator(constants=constants, **env).start()
        return self._current

    @contextlib.contextmanager
    def running(self, *, constants: Mapping[str, float] | None = None, **env: str) -> Iterator[ForkedOperator]:
        """An operator that leads, for a block."""
        try:
            yield self.start(constants=constants, **env).wait_leading()
        finally:
            self.end()

    def end(self) -> None:
        """Kill the operator, if one runs."""
        if self._current is not None:
            self._current.resume()
            self._current.kill()
            self._current.folder.cleanup()
            self._current = None
        self.proxy.cut_watches()

    # -- workspaces

    def credential(self, name: str, content: str = "one") -> None:
        """The Secret that a workspace refers to, opted in."""
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": f"{name}-airtable",
                "namespace": CREDENTIALS_NAMESPACE,
                "labels": {tenants.LABEL: name},
            },
            "stringData": {"token": f"patFaults.not-a-real-token-{content}"},
        }
        self.apply(f"/api/v1/namespaces/{CREDENTIALS_NAMESPACE}/secrets/{name}-airtable", body)

    def apply(self, path: str, body: Body) -> None:
        """Server-side apply as the person at the keyboard."""
        headers = {"Content-Type": "application/apply-patch+yaml"}
        query = {"fieldManager": "person", "force": "true"}
        self.plane.api.patch(path, params=query, content=orjson.dumps(body), headers=headers).raise_for_status()

    def create(self, name: str, **spec: Any) -> None:
        """A Workspace with an owner, a quota, limits and a base, and its credential."""
        self.credential(name)
        self.made.add(name)
        body = {
            "apiVersion": "pyairtable.dev/v1alpha1",
            "kind": "Workspace",
            "metadata": {"name": name},
            "spec": standard_spec(name) | spec,
        }
        self.apply(f"{WORKSPACES}/{name}", body)

    def change(self, name: str, patch: Body) -> None:
        """A merge patch of the Workspace."""
        answer = self.plane.api.patch(f"{WORKSPACES}/{name}", content=orjson.dumps(patch), headers=MERGE)
        answer.raise_for_status()

    def delete(self, name: str) -> None:
        """What `kubectl delete --wait=false` does."""
        self.plane.api.delete(f"{WORKSPACES}/{name}").raise_for_status()

    def workspace(self, name: str) -> Body:
        """The Workspace; empty when it is not there."""
        return tenants.get(self.plane.api, f"{WORKSPACES}/{name}")

    def is_ready(self, name: str) -> bool:
        """Whether it is Ready, as its spec stands; else says what its conditions say."""
        body = self.workspace(name)
        ready = bool(body) and tenants.is_current(body)
        assert ready, conditions_text(body)
        return ready

    def ready(self, name: str, seconds: float = 60) -> None:
        """Wait until it is Ready."""
        eventually(lambda: self.is_ready(name), what=f"{name} Ready", seconds=seconds)

    def forget(self, *names: str) -> None:
        """Take workspaces away behind the operator's back, which must not run; their namespaces go in their time."""
        for name in names or tuple(self.made):
            self.plane.api.patch(f"{WORKSPACES}/{name}", content=b'{"metadata":{"finalizers":null}}', headers=MERGE)
            self.plane.api.delete(f"{WORKSPACES}/{name}")
            for kind in ("ClusterRoleBinding", "ClusterRole"):
                self.plane.api.delete(f"{tenants.COLLECTIONS[kind]}/pyairtable:workspace:{name}")
            self.plane.api.delete(f"/api/v1/namespaces/ws-{name}")
            self.plane.api.delete(f"/api/v1/namespaces/{CREDENTIALS_NAMESPACE}/secrets/{name}-airtable")
            self.platform.state.registry.pop(name, None)
            self.platform.state.keys.pop(name, None)
            self.made.discard(name)

    # -- the platform

    def kill_at_platform_call(self, workspace: str, number: int) -> threading.Event:
        """The operator dies before its Nth call that would change something of a workspace; the event tells when."""
        self._kill_at, self._killed = (workspace, number), threading.Event()
        return self._killed

    def _heard(self, rpc: str, workspace: str) -> None:
        self.platform_calls.append((rpc, workspace))
        if self._kill_at is None or self._kill_at[0] != workspace:
            return
        if sum(name == workspace for _, name in self.platform_calls) == self._kill_at[1]:
            self._kill_at = None
            os.kill(self.operator.pid, signal.SIGKILL)
            self._killed.set()
            raise RuntimeError("the caller is dead")

    # -- what is judged

    def state(self, name: str) -> Body:
        """The workspace in the cluster and on the platform, comparable between runs."""
        return tenants.end_state(self.plane.api, name, f"ws-{name}") | {"Platform": self.on_platform(name)}

    def on_platform(self, name: str) -> Body:
        """The registry's entry, and of each key whether it is the one that the tenant holds."""
        entry = self.platform.state.registry.get(name)
        held = tenants.sha256(tenants.access_key(self.plane.api, f"ws-{name}"))
        keys = self.platform.state.keys.get(name, {}).values()
        told = MessageToDict(entry) if entry is not None else {}
        told = tenants.without(told, ("version", "uid", "generation"))
        declared = [{"held": key.sha256 == held, "expires": key.HasField("expires_at")} for key in keys]
        text = orjson.dumps({"registry": told, "keys": sorted(declared, key=str)}).decode()
        result: Body = orjson.loads(text.replace(name, "<workspace>"))
        return result

    def writes(self, name: str) -> list[Call]:
        """Writes of the operator for a workspace that reached the API server."""
        return self.proxy.writes(about(name))

    def keys_written(self, name: str) -> int:
        """How many different access keys the API server has taken."""
        found = set()
        for call in self.writes(name):
            if call.target.resource == "secrets" and call.verb != "delete" and call.changed is not None:
                body = orjson.loads(call.body)
                data = (body.get("data") or {}) | (body.get("stringData") or {})
                found.add(data.get("PYAIRTABLE_API_KEY"))
        return len(found - {None})


def about(name: str) -> Callable[[Call], bool]:
    """Whether a call is a counted write about a workspace."""
    return lambda call: call.counts and name in call.target.key


def standard_spec(name: str) -> Body:
    """What `create` declares unless told otherwise."""
    return {
        "displayName": f"The workspace {name}",
        "owners": [{"kind": "User", "name": "ada@example.com"}],
        "airtable": {
            "tokenSecretRef": {"name": f"{name}-airtable"},
            "bases": [{"name": "crm", "baseId": "appFaultsCrm00001", "default": True}],
        },
        "namespace": {"quota": {"pods": "20"}, "limits": {"cpu": "500m", "memory": "512Mi"}},
        "deletionPolicy": "Delete",
    }


def conditions_text(body: Body) -> str:
    """One line for a failed assertion."""
    conditions = (body.get("status") or {}).get("conditions") or ()
    return "; ".join(f"{one['type']}={one['status']}/{one['reason']}: {one['message']}" for one in conditions) or "none"
