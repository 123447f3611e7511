"""What the programs of a node, and the control plane for it, are told."""

import tomllib
from pathlib import Path

import yaml

from pyairtable_devkit.cluster import components
from pyairtable_devkit.cluster.components import Layout, Ports
from pyairtable_devkit.cluster.node import configuration
from pyairtable_devkit.cluster.node.configuration import NodeLayout
from pyairtable_devkit.cluster.node.network import Network
from pyairtable_devkit.cluster.node.node import Node
from pyairtable_devkit.cluster.programs import NODE_PROGRAMS, Programs

NETWORK = Network(3)
FOUND = Programs({program.name: Path("/programs") / program.name for program in NODE_PROGRAMS})
LAYOUT = NodeLayout(Path("/data/node"))
PORTS = Ports(api_server=6443, etcd=2, etcd_peer=3)


def test_clusters_on_one_machine_share_no_address() -> None:
    one, other = Network(0), Network(1)
    for kind in ("pods", "services"):
        assert not getattr(one, kind).overlaps(getattr(other, kind))
    assert len({one.host, one.node, other.host, other.node}) == 4
    assert one.interface != other.interface
    assert len(Network(199).interface) <= 15  # the kernel's limit


def test_the_api_server_listens_for_the_node_only_if_there_is_one() -> None:
    layout = Layout(Path("/data"), Path("/logs"))
    without = components.api_server(layout, PORTS, audit=False)
    assert not any("kubelet" in option or "requestheader" in option for option in without)
    options = components.api_server(layout, PORTS, audit=False, network=NETWORK)
    assert {"--bind-address=10.245.3.1", "--advertise-address=10.245.3.1"} <= set(options)
    assert "--service-cluster-ip-range=10.96.3.0/24" in options
    assert not any(option.startswith("--endpoint-reconciler-type") for option in options)
    assert "--kubelet-certificate-authority=/data/pki/ca.crt" in options
    assert "--cluster-cidr=10.244.3.0/24" in components.controller_manager(layout, NETWORK)


def test_clients_call_the_node_past_a_proxy() -> None:
    told = components.client_environment({}, config=Path("/c"), caches=Path("/k"), search_path="", network=NETWORK)
    assert told["NO_PROXY"] == "127.0.0.1,localhost,10.245.3.1"


def test_the_kubelet_lets_nobody_in_unknown() -> None:
    told = configuration.kubelet(LAYOUT, NETWORK, "group")
    assert told["authentication"]["anonymous"] == {"enabled": False}
    assert told["authorization"] == {"mode": "Webhook"}
    assert (told["readOnlyPort"], told["cgroupRoot"], told["clusterDNS"]) == (0, "/group", ["10.96.3.10"])


def test_containerd_is_told_in_its_own_language() -> None:
    told = tomllib.loads(configuration.containerd(LAYOUT, FOUND))
    runtime = told["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is True
    assert runtime["cni"]["bin_dirs"] == ["/programs", "/data/node/cni-bin"]
    assert told["root"] == "/data/node/containerd"


def test_whatever_is_written_lies_in_the_nodes_folder() -> None:
    files = configuration.files(LAYOUT, NETWORK, FOUND, "group")
    assert all(path.is_relative_to("/data/node") and path.parent in LAYOUT.folders for path in files)
    for path, text in files.items():
        if path.suffix == ".yaml":
            assert yaml.safe_load(text)["kind"].endswith("Configuration")


def test_every_program_is_one_that_is_built_or_ours() -> None:
    for program in configuration.programs(LAYOUT, NETWORK, FOUND, "https://10.245.3.1:6443"):
        assert program.argv[0].startswith("/programs/") or program.name == "node-agent"


def test_what_a_new_cluster_gets_is_whole(tmp_path: Path) -> None:
    node = Node(FOUND, folder=tmp_path, logs=tmp_path, network=NETWORK)
    items = list(yaml.safe_load_all(node.manifests()))
    (service,) = [item for item in items if item["kind"] == "Service"]
    assert service["spec"]["clusterIP"] == "10.96.3.10"
    (deployment,) = [item for item in items if item["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["metadata"]["labels"] == {"k8s-app": "kube-dns"}
    assert "$" not in node.manifests()
