"""A node of a control plane: its sandbox, its keys, its programs, the images it has and the names it knows.

    node = Node(programs, folder=..., logs=...)
    node.begin(); plane = ControlPlane(..., network=node.network); ...; node.join(plane); node.advance() until true

Pods run as in any cluster; nothing is pulled: the node has the images that were loaded, and no way to the Internet.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from pyairtable_devkit.cluster.components import client_environment
from pyairtable_devkit.cluster.control_plane import KUBELET_CLIENT, ControlPlane
from pyairtable_devkit.cluster.node import archives, cgroups, configuration
from pyairtable_devkit.cluster.node.configuration import NODE_NAME, NodeLayout
from pyairtable_devkit.cluster.node.network import Network, free_network
from pyairtable_devkit.cluster.node.sandbox import Sandbox, SandboxError, cgroup_name, missing_commands
from pyairtable_devkit.cluster.node.volumes import PROVISIONER, STORAGE_CLASS
from pyairtable_devkit.cluster.pki import write_private
from pyairtable_devkit.cluster.programs import PROGRAMS, Programs, ProgramsError, find
from pyairtable_devkit.cluster.record import Place

API_SERVER_PORT = 6443  # on an address of its own, and one that NetworkPolicies take for an API server's
_ADDONS = Path(__file__).with_name("addons.yaml")
_AGENT_USER = "pyairtable-devkit-node-agent"
_COREDNS_IMAGE = "docker.io/pyairtable/coredns:1"
_USERS = {
    "kubelet": (f"system:node:{NODE_NAME}", ("system:nodes",)),
    "kube-proxy": ("system:kube-proxy", ()),
}
_DNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"


def require_commands(environment: Mapping[str, str], user: int) -> None:
    """Raise ProgramsError if this machine cannot have a node: commands are missing, or we are not root."""
    if user != 0:
        raise ProgramsError("A node makes networks and mounts, which only root may: sudo -E env PATH=$PATH ...")
    if missing := missing_commands(environment):
        raise ProgramsError(
            f"A node needs commands that are not there: {', '.join(missing)}. `scripts/install-node-commands.sh` "
            "installs Debian's packages of them"
        )


def describe_node(place: Place, network: Network, environment: Mapping[str, str]) -> str:
    """Return a line about the node of a cluster that runs: whether it is ready, its pods, what memory it holds."""
    held = f"{cgroups.memory(cgroup_name(place.node)) / 2**20:.0f} MiB with all pods"
    base = f"{NODE_NAME} at {network.node}, {held}"
    kubectl = find(next(program for program in PROGRAMS if program.name == "kubectl"), environment)
    argv = [str(kubectl), "get", "pods", "-A", "-o", "jsonpath={.items[*].status.phase}"]
    told = client_environment(
        environment, config=place.kubeconfig, caches=place.caches, search_path="", network=network
    )
    done = subprocess.run(argv, env=told, capture_output=True, text=True, check=False, timeout=30)
    phases = Counter(done.stdout.split())
    return f"{base}; pods: {', '.join(f'{count} {phase}' for phase, count in sorted(phases.items())) or 'none known'}"


class Node:
    """One node, and the cluster's own pods on it."""

    def __init__(self, found: Programs, *, folder: Path, logs: Path, network: Network | None = None) -> None:
        """Start nothing. What is in the folder belongs to a node that was killed and is removed by begin()."""
        self.network = network or free_network()
        self.layout = NodeLayout(folder.resolve())
        self.sandbox = Sandbox(self.layout.folder, self.network, logs, found.search_path)
        self._programs = found
        self._plane: ControlPlane | None = None
        self._images = False
        self._addons = False

    def begin(self) -> None:
        """Start the sandbox; the API server can listen for the node once is_prepared()."""
        self.sandbox.start()

    def revive(self) -> None:
        """Start the node again if it has ended, as after a power cut: with its images, volumes and pods to start."""
        if self.sandbox.failure():
            self.sandbox.boot()
        self.sandbox.is_prepared()

    def is_prepared(self) -> bool:
        """Return whether the sandbox is there and joined to this machine's network."""
        return self.sandbox.is_prepared()

    def join(self, plane: ControlPlane) -> None:
        """Give the node its keys and start its programs; the control plane must be ready."""
        self._plane = plane
        for folder in self.layout.folders:
            folder.mkdir(parents=True, exist_ok=True)
        self.layout.authority.write_bytes(plane.ca_file.read_bytes())
        pair = plane.issue_server(NODE_NAME, [NODE_NAME, str(self.network.node)])
        write_private(self.layout.kubelet_certificate, pair.certificate)
        write_private(self.layout.kubelet_key, pair.key)
        agent = plane.issue_client(_AGENT_USER)
        write_private(self.layout.agent_certificate, agent.certificate)
        write_private(self.layout.agent_key, agent.key)
        for component, (user, groups) in _USERS.items():
            write_private(self.layout.kubeconfig(component), plane.kubeconfig_for(user, groups).read_bytes())
        for path, text in configuration.files(self.layout, self.network, self._programs, self.sandbox.cgroup).items():
            path.write_text(text)
            path.chmod(0o755 if path.parent == self.layout.cni_programs else 0o644)
        programs = configuration.programs(self.layout, self.network, self._programs, plane.server_url)
        self.sandbox.run_programs(programs)

    def advance(self) -> bool:
        """Do what can be done by now and return whether pods can run and know each other's names. Does not wait."""
        plane = self._joined()
        if not self._images:
            self._images = self._load_own_images()
            return False
        if not self._addons:
            plane.kubectl("apply", "--server-side", "-f", "-", input=self.manifests())
            self._addons = True
        return self._is_ready() and self._has_names()

    def load(self, archive: Path) -> Sequence[str]:
        """Load the images of an OCI archive and return their names; raises SandboxError or ValueError."""
        names = [name for name in archives.names_in(archive) if name]
        self._ctr("image", "import", archive.resolve())
        for name in names:
            if (full := archives.full_name(name)) != name:
                self._ctr("image", "tag", "--force", name, full)
        return [archives.full_name(name) for name in names]

    def images(self) -> Sequence[str]:
        """Return the names of the images that the node has."""
        listed = self._ctr("image", "list", "--quiet").split()
        return sorted(name for name in listed if not name.startswith("sha256:") and "@" not in name)

    def failure(self) -> str:
        """Return why it cannot go on, empty while all is well."""
        return self.sandbox.failure()

    def stop(self) -> None:
        """End the node with all its pods, and remove it, logs excepted."""
        self.sandbox.stop()
        self._plane, self._images, self._addons = None, False, False

    def _joined(self) -> ControlPlane:
        if self._plane is None:
            raise SandboxError("The node has not joined a control plane yet")
        return self._plane

    def _load_own_images(self) -> bool:
        """Return whether the node has the images of its own pods; containerd may not be there yet."""
        if not self.sandbox.has(configuration.CONTAINERD_SOCKET):
            return False
        own = {"pause": configuration.PAUSE_IMAGE, "coredns": _COREDNS_IMAGE}
        for program, name in own.items():
            archive = self.layout.folder / "images" / f"{program}.tar"
            self.load(archives.write_archive(archive, name, self._programs[program]))
            archive.unlink()
        return True

    def _ctr(self, *arguments: str | Path) -> str:
        address = configuration.CONTAINERD_SOCKET
        return self.sandbox.run(self._programs["ctr"], "--address", address, "--namespace", "k8s.io", *arguments)

    def manifests(self) -> str:
        """Return what a new cluster gets before anything else."""
        return Template(_ADDONS.read_text()).substitute(
            kubelet_client=KUBELET_CLIENT,
            agent=_AGENT_USER,
            storage_class=STORAGE_CLASS,
            provisioner=PROVISIONER,
            domain=configuration.CLUSTER_DOMAIN,
            coredns_image=_COREDNS_IMAGE,
            dns_address=self.network.dns_service,
        )

    def _is_ready(self) -> bool:
        answer = self._joined().api.get(f"/api/v1/nodes/{NODE_NAME}", timeout=5)
        conditions = answer.json()["status"].get("conditions", []) if answer.is_success else []
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _has_names(self) -> bool:
        answer = self._joined().api.get(_DNS, timeout=5)
        return answer.is_success and bool(json.loads(answer.text)["status"].get("readyReplicas"))
