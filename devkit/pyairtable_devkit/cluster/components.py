"""The command lines of etcd, kube-apiserver and kube-controller-manager, and the folder they share. Starts nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyairtable_devkit.cluster.node.network import Network
from pyairtable_devkit.ports import LOOPBACK

ISSUER = "https://kubernetes.default.svc"
_SERVICE_RANGE = "10.96.0.0/16"
_FIRST_SERVICE_ADDRESS = "10.96.0.1"
SERVER_HOSTS = (
    *(LOOPBACK, "localhost", _FIRST_SERVICE_ADDRESS),
    *("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"),
)
"""Names in the API server's certificate: as clients outside and (were there nodes) inside the cluster call it."""


@dataclass(frozen=True)
class Ports:
    """Loopback ports of one control plane."""

    api_server: int
    etcd: int
    etcd_peer: int


@dataclass(frozen=True)
class Layout:
    """Where everything of one control plane lies; the logs may be kept elsewhere."""

    folder: Path
    logs: Path

    @property
    def keys(self) -> Path:
        return self.folder / "pki"

    @property
    def kubeconfigs(self) -> Path:
        return self.folder / "kubeconfigs"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    @property
    def authentication(self) -> Path:
        return self.folder / "authentication.yaml"

    @property
    def audit_policy(self) -> Path:
        return self.folder / "audit-policy.yaml"

    def key(self, name: str) -> Path:
        return self.keys / f"{name}.key"

    def certificate(self, name: str) -> Path:
        return self.keys / f"{name}.crt"


def etcd(layout: Layout, ports: Ports) -> list[str]:
    """Return the options of a single etcd, closed to everybody but holders of a certificate of ours."""
    client, peer = f"https://{LOOPBACK}:{ports.etcd}", f"https://{LOOPBACK}:{ports.etcd_peer}"
    certificate, key, authority = layout.certificate("etcd"), layout.key("etcd"), layout.certificate("etcd-ca")
    return _options(
        {
            "name": "devkit",
            "data-dir": layout.folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"devkit={peer}",
            "client-cert-auth": "true",
            "cert-file": certificate,
            "key-file": key,
            "trusted-ca-file": authority,
            "peer-client-cert-auth": "true",
            "peer-cert-file": certificate,
            "peer-key-file": key,
            "peer-trusted-ca-file": authority,
            # The data live as long as the processes do: what survives a crash of the machine is of no use to anybody.
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }
    )


def api_server(layout: Layout, ports: Ports, *, audit: bool, network: Network | None = None) -> list[str]:
    """Return the options of the API server: RBAC, the admission plugins of a usual cluster, no open door.

    With a node it listens where the node and its pods can reach it.
    """
    options: dict[str, object] = {
        "etcd-servers": f"https://{LOOPBACK}:{ports.etcd}",
        "etcd-cafile": layout.certificate("etcd-ca"),
        "etcd-certfile": layout.certificate("etcd-client"),
        "etcd-keyfile": layout.key("etcd-client"),
        "bind-address": LOOPBACK,
        "advertise-address": LOOPBACK,
        "secure-port": ports.api_server,
        # No pod calls the API by its service address, and a loopback address is refused in its endpoints.
        "endpoint-reconciler-type": "none",
        "authorization-mode": "Node,RBAC",
        "authentication-config": layout.authentication,
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",  # as kind and kubeadm do: Pod Security decides, not this switch
        "client-ca-file": layout.certificate("ca"),
        "tls-cert-file": layout.certificate("api-server"),
        "tls-private-key-file": layout.key("api-server"),
        "service-account-issuer": ISSUER,
        "service-account-key-file": layout.keys / "service-accounts.pub",
        "service-account-signing-key-file": layout.key("service-accounts"),
        "service-cluster-ip-range": _SERVICE_RANGE,
        # Twice the usual: a thousand workspaces at once shall meet the machine's limit, not a queue of the server's.
        "max-requests-inflight": 800,
        "max-mutating-requests-inflight": 400,
        "profiling": "false",
    }
    if network is not None:
        del options["endpoint-reconciler-type"]
        options |= {
            "bind-address": network.host,
            "advertise-address": network.host,
            "service-cluster-ip-range": network.services,
            "kubelet-client-certificate": layout.certificate("kubelet-client"),
            "kubelet-client-key": layout.key("kubelet-client"),
            "kubelet-certificate-authority": layout.certificate("ca"),
            "kubelet-preferred-address-types": "InternalIP",
            **_aggregation(layout),
        }
    if audit:
        options |= {"audit-policy-file": layout.audit_policy, "audit-log-path": layout.audit_log}
    return _options(options)


def _aggregation(layout: Layout) -> dict[str, object]:
    """Return what lets API servers in pods answer for groups of their own (metrics.k8s.io)."""
    return {
        "requestheader-client-ca-file": layout.certificate("front-proxy-ca"),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": layout.certificate("front-proxy-client"),
        "proxy-client-key-file": layout.key("front-proxy-client"),
    }


def controller_manager(layout: Layout, network: Network | None = None) -> list[str]:
    """Return the options of the controller manager: garbage collection, namespaces, quotas, service accounts ..."""
    ranges: dict[str, object] = {"service-cluster-ip-range": _SERVICE_RANGE}
    if network is not None:
        ranges = {
            "service-cluster-ip-range": network.services,
            "allocate-node-cidrs": "true",
            "cluster-cidr": network.pods,
            "node-cidr-mask-size": network.pods.prefixlen,
        }
    return _options(
        {
            "kubeconfig": layout.kubeconfigs / "controller-manager.yaml",
            "service-account-private-key-file": layout.key("service-accounts"),
            "root-ca-file": layout.certificate("ca"),
            "cluster-signing-cert-file": layout.certificate("ca"),
            "cluster-signing-key-file": layout.key("ca"),
            "use-service-account-credentials": "true",
            **ranges,
            "leader-elect": "false",
            "secure-port": 0,  # one port less; that it works shows in the ServiceAccounts it makes
            # The usual 20 calls a second of each controller would make a thousand new namespaces wait minutes for
            # their ServiceAccounts and quotas, and a measurement would measure that.
            "kube-api-qps": 500,
            "kube-api-burst": 1000,
            "concurrent-namespace-syncs": 20,  # usual: 10; a thousand namespaces are deleted after a benchmark
            "concurrent-serviceaccount-token-syncs": 10,
            "concurrent-resource-quota-syncs": 10,
        }
    )


def scheduler(layout: Layout) -> list[str]:
    """Return the options of the scheduler, which only a cluster with a node has."""
    kubeconfig = layout.kubeconfigs / "scheduler.yaml"
    return _options(
        {
            "kubeconfig": kubeconfig,
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "leader-elect": "false",
            "secure-port": 0,
        }
    )


def authentication_configuration() -> dict[str, Any]:
    """Return what the API server is told about callers without credentials: they may ask for its health."""
    paths = ("/livez", "/readyz", "/healthz")
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": True, "conditions": [{"path": path} for path in paths]},
    }


def audit_policy() -> dict[str, Any]:
    """Return a policy that notes who asked for what, without bodies; the control plane's own calls are left out."""
    own = {
        "level": "None",
        "users": ["system:apiserver", "system:kube-controller-manager"],
    }
    controllers = {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]}
    health = {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*"]}
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [own, controllers, health, {"level": "Metadata"}],
    }


def _options(options: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def client_environment(
    inherited: Mapping[str, str], *, config: Path, caches: Path, search_path: str, network: Network | None = None
) -> dict[str, str]:
    """Return the environment for kubectl, helm and other clients: one kubeconfig, nothing kept in a home folder."""
    nodes = [str(network.host)] if network else []
    spared: Sequence[str] = (
        inherited.get("no_proxy") or inherited.get("NO_PROXY") or "",
        LOOPBACK,
        "localhost",
        *nodes,
    )
    no_proxy = ",".join(filter(None, spared))
    return {
        **inherited,
        "PATH": f"{search_path}:{inherited.get('PATH', '')}",
        "KUBECONFIG": str(config),
        "KUBECACHEDIR": str(caches / "kubectl"),
        "HELM_CACHE_HOME": str(caches / "helm" / "cache"),
        "HELM_CONFIG_HOME": str(caches / "helm" / "config"),
        "HELM_DATA_HOME": str(caches / "helm" / "data"),
        "no_proxy": no_proxy,
        "NO_PROXY": no_proxy,
    }
