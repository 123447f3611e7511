"""What the programs of a node are told: their command lines and configuration files. Starts nothing.

Sources: kubernetes.io/docs/reference/config-api (kubelet, kube-proxy), containerd
docs/cri/config.md (version 3), cni.dev/plugins.
"""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pyairtable_devkit.cluster.node.network import Network
from pyairtable_devkit.cluster.node.sandbox import NodeProgram
from pyairtable_devkit.cluster.programs import Programs

NODE_NAME = "pyairtable-node"
CLUSTER_DOMAIN = "cluster.local"
_AGENT = "pyairtable_devkit.cluster.node.agent"
_ADMIT = Path(__file__).with_name("admit.py")
_ADMIT_NAME = "pyairtable-admit"
PAUSE_IMAGE = "docker.io/pyairtable/pause:1"
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")


@dataclass(frozen=True)
class NodeLayout:
    """Where everything of a node lies; the paths are the same inside of it and outside."""

    folder: Path

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    @property
    def kubelet(self) -> Path:
        return self.folder / "kubelet"

    @property
    def volumes(self) -> Path:
        """What PersistentVolumes hold."""
        return self.folder / "volumes"

    @property
    def kubelet_certificate(self) -> Path:
        return self.etc / "kubelet.crt"

    @property
    def kubelet_key(self) -> Path:
        return self.etc / "kubelet.key"

    @property
    def authority(self) -> Path:
        return self.etc / "ca.crt"

    @property
    def resolv_conf(self) -> Path:
        return self.etc / "resolv.conf"

    @property
    def cni(self) -> Path:
        return self.etc / "cni"

    @property
    def cni_programs(self) -> Path:
        """CNI plugins of our own."""
        return self.folder / "cni-bin"

    @property
    def policies(self) -> Path:
        """Where admit.py and policies.py leave word for each other; empty after a start of the node."""
        return Path("/run/pyairtable/policies")

    @property
    def agent_certificate(self) -> Path:
        return self.etc / "agent.crt"

    @property
    def agent_key(self) -> Path:
        return self.etc / "agent.key"

    @property
    def folders(self) -> Sequence[Path]:
        """What must be there before the node's programs start."""
        return (self.etc, self.cni, self.cni_programs, self.kubelet, self.volumes)

    def kubeconfig(self, component: str) -> Path:
        return self.etc / f"{component}.kubeconfig"

    def configuration(self, component: str) -> Path:
        return self.etc / f"{component}.yaml"


def programs(layout: NodeLayout, network: Network, found: Programs, server: str) -> Sequence[NodeProgram]:
    """Return what runs in the node: containers, the node's agent, Services and NetworkPolicies."""
    kubelet = _options(
        {
            "config": layout.configuration("kubelet"),
            "kubeconfig": layout.kubeconfig("kubelet"),
            "hostname-override": NODE_NAME,
            "node-ip": network.node,
            "root-dir": layout.kubelet,
        }
    )
    return (
        NodeProgram("containerd", [str(found["containerd"]), "--config", str(layout.etc / "containerd.toml")]),
        NodeProgram("kubelet", [str(found["kubelet"]), *kubelet], needs=CONTAINERD_SOCKET),
        NodeProgram("kube-proxy", [str(found["kube-proxy"]), f"--config={layout.configuration('kube-proxy')}"]),
        NodeProgram("node-agent", [sys.executable, "-m", _AGENT, str(layout.folder), str(network.number), server]),
    )


def files(layout: NodeLayout, network: Network, found: Programs, cgroup: str) -> Mapping[Path, str]:
    """Return the configuration files by path; those in layout.cni_programs are programs."""
    admit = [sys.executable, "-I", "-S", str(_ADMIT), str(layout.policies)]
    return {
        layout.etc / "containerd.toml": containerd(layout, found),
        layout.configuration("kubelet"): yaml.safe_dump(kubelet(layout, network, cgroup)),
        layout.configuration("kube-proxy"): yaml.safe_dump(kube_proxy(layout, network)),
        layout.cni / "10-pyairtable.conflist": json.dumps(cni(network), indent=2),
        # Nobody outside the cluster is asked for names: the node has no way to the Internet.
        layout.resolv_conf: "# no name server\n",
        layout.cni_programs / _ADMIT_NAME: f"#!/bin/sh\nexec {shlex.join(admit)}\n",
    }


def containerd(layout: NodeLayout, found: Programs) -> str:
    """Return containerd's configuration (version 3, of containerd 2; in another section a key is silently ignored)."""
    return f"""\
version = 3
root = "{layout.folder / "containerd"}"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.nri.v1.nri",
  "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
# Without CAP_SYS_RESOURCE, as in many virtual machines, nobody may be spared more than we are.
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{found["ptp"].parent}", "{layout.cni_programs}"]
conf_dir = "{layout.cni}"

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def kubelet(layout: NodeLayout, network: Network, cgroup: str) -> dict[str, Any]:
    """Return the kubelet's configuration."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(network.node),
        "healthzBindAddress": "127.0.0.1",
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.kubelet_certificate),
        "tlsPrivateKeyFile": str(layout.kubelet_key),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDNS": [str(network.dns_service)],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(layout.resolv_conf),
        "podLogsDir": str(layout.folder / "pod-logs"),
        "volumePluginDir": str(layout.folder / "volume-plugins"),
        "staticPodPath": "",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "serializeImagePulls": False,
        # A person's disk may be nearly full for reasons of its own, and an image that is collected cannot be pulled.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "shutdownGracePeriod": "0s",
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "10s",
        "enableDebuggingHandlers": True,  # logs, exec, port-forward
    }


def kube_proxy(layout: NodeLayout, network: Network) -> dict[str, Any]:
    """Return kube-proxy's configuration. Zeros leave settings of the kernel as they are."""
    conntrack = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(layout.kubeconfig("kube-proxy"))},
        "hostnameOverride": NODE_NAME,
        "clusterCIDR": str(network.pods),
        "bindAddress": "0.0.0.0",  # noqa: S104 - all addresses of the node, which is a network of its own
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": conntrack,
        "nftables": {"syncPeriod": "30s", "minSyncPeriod": "0.2s"},
        "oomScoreAdj": 0,
    }


def cni(network: Network) -> dict[str, Any]:
    """Return how a pod gets its network: a cable of its own to the node.

    Not a bridge: on a bridge pods reach each other past the packet filter, and NetworkPolicies would hold for nobody.
    """
    pods = {"type": "host-local", "ranges": [[{"subnet": str(network.pods)}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return {
        "cniVersion": "1.0.0",
        "name": "pyairtable",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": pods},
            {"type": "portmap", "capabilities": {"portMappings": True}, "backend": "nftables"},
            {"type": _ADMIT_NAME},
        ],
    }


def _options(options: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]
