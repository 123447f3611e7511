"""Which parts `cluster up` starts: a cluster, the chart in it, the platform and operator as processes beside it.

Without a node nothing runs as a pod, so the processes run here, each as the ServiceAccount that its pod would have.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyairtable_devkit import topology
from pyairtable_devkit.cluster.cluster_parts import (
    KIND_CLUSTER,
    ControlPlanePart,
    IdentitiesPart,
    KindPart,
    SecretPart,
    ServiceAccount,
    identity,
    kind_configuration,
)
from pyairtable_devkit.cluster.components import client_environment
from pyairtable_devkit.cluster.node.network import Network
from pyairtable_devkit.cluster.node.node import API_SERVER_PORT as NODE_API_SERVER_PORT
from pyairtable_devkit.cluster.node.node_parts import ImagesPart, NodePart, SandboxPart, load_into, load_into_kind
from pyairtable_devkit.cluster.programs import TOOLS, Programs
from pyairtable_devkit.cluster.record import Place
from pyairtable_devkit.parts import Part, ProcessPart, program
from pyairtable_devkit.ports import LOOPBACK
from pyairtable_devkit.topology import SERVICES, Plan

REPOSITORY = TOOLS.parent
API_SERVER_PORT = 16443  # not 6443: a cluster that is really one may have it
OPERATOR_PORT = 8080
RELEASE = "pyairtable"
SYSTEM_NAMESPACE, CREDENTIALS_NAMESPACE = "pyairtable-system", "pyairtable-credentials"
KEYS = "pyairtable-keys"
"""The Secret with the API key and the JWT secret, which the chart and the processes beside the cluster share."""
_READERS = ("airtable-gateway", "llm-orchestrator")
"""Services that read Secrets of tenants."""
_ASKERS = (*_READERS, "auth", "workspaces")
"""Services that call the Kubernetes API."""


@dataclass(frozen=True)
class ClusterPlan:
    """What `cluster up` was asked for."""

    place: Place
    programs: Programs
    plan: Plan
    bare: bool = False
    node: bool = False
    """A cluster in which pods run, and nothing beside it."""
    network: Network | None = None
    """That of the node, if it is ours."""
    kind: str = ""
    """Path of the kind command, to use it; empty for our own control plane."""
    repository: Path = REPOSITORY
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def images(self) -> Path:
        """Where `make images` leaves its archives."""
        return self.repository / ".devkit" / "images"

    @property
    def mailbox(self) -> str:
        """Where people's letters are shown."""
        return f"http://{LOOPBACK}:{self.plan.port(topology.MAILBOX_PORT)}"

    @property
    def client_environment(self) -> dict[str, str]:
        """For kubectl and helm, as the administrator."""
        return client_environment(
            self.environment,
            config=self.place.kubeconfig,
            caches=self.place.caches,
            search_path=self.programs.search_path,
            network=self.network,
        )


def cluster_parts(wanted: ClusterPlan) -> list[Part]:
    """Return all parts in the order of their start."""
    if wanted.network is not None:
        return _with_node(wanted, wanted.network)
    cluster = _kind(wanted) if wanted.kind else _control_plane(wanted)
    if wanted.node:
        images = load_into_kind(wanted.kind, wanted.environment)
        return [cluster, ImagesPart(wanted.images, images, after=(cluster.name,))]
    if wanted.bare:
        return [cluster]
    # The cluster comes late in the list, so that it starts while the databases and emulators do.
    beside = [part for part in topology.parts(wanted.plan) if not _is_service(part)]
    installed = [_keys(wanted, cluster.name), _chart(wanted), _identities(wanted)]
    return [*beside, cluster, *installed, *_services(wanted), _operator(wanted)]


def _control_plane(wanted: ClusterPlan) -> ControlPlanePart:
    port = wanted.plan.port(API_SERVER_PORT)
    return ControlPlanePart(wanted.programs, wanted.place, port, wanted.environment)


def _with_node(wanted: ClusterPlan, network: Network) -> list[Part]:
    sandbox = SandboxPart(wanted.programs, wanted.place, network)
    plane = ControlPlanePart(
        wanted.programs, wanted.place, NODE_API_SERVER_PORT, wanted.environment, network, after=(sandbox.name,)
    )
    node = NodePart(sandbox, plane, after=(plane.name,))
    return [sandbox, plane, node, ImagesPart(wanted.images, load_into(sandbox), after=(node.name,))]


def _kind(wanted: ClusterPlan) -> KindPart:
    configuration = wanted.place.folder / "kind-config.yaml"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    written = (wanted.repository / "kind-config.yaml").read_text()
    port, offset = wanted.plan.port(API_SERVER_PORT), wanted.plan.port_offset
    configuration.write_text(
        kind_configuration(written, api_port=port, port_offset=offset, mappings=wanted.bare or wanted.node)
    )
    create = ["create", "cluster", "--name", KIND_CLUSTER, "--config", str(configuration), "--wait", "180s"]
    return KindPart(
        name="kind",
        command=[wanted.kind, *create, "--kubeconfig", str(wanted.place.kubeconfig)],
        log_dir=wanted.place.logs,
        env=wanted.environment,
        place=wanted.place,
    )


def _keys(wanted: ClusterPlan, cluster: str) -> Part:
    kubectl, told = wanted.programs["kubectl"], wanted.client_environment
    return SecretPart("keys", SYSTEM_NAMESPACE, KEYS, wanted.plan.secrets, kubectl, told, after=(cluster,))


def _chart(wanted: ClusterPlan) -> Part:
    chart = wanted.repository / "charts" / "pyairtable"
    options = ["-n", SYSTEM_NAMESPACE, "--create-namespace", "-f", str(chart / "values-demo.yaml")]
    options += ["--set", f"credentials.apiKey.existingSecret={KEYS},credentials.jwtSecret.existingSecret={KEYS}"]
    if not wanted.plan.upstreams.emulated:  # the demo's Secret holds the emulator's token
        options += ["--set", "demo.tenant.enabled=false"]
    return ProcessPart(
        name="chart",
        command=[str(wanted.programs["helm"]), "upgrade", "--install", RELEASE, str(chart), *options],
        log_dir=wanted.place.logs,
        env=wanted.client_environment,
        after=("keys",),
    )


def _identities(wanted: ClusterPlan) -> Part:
    accounts = [_account(name) for name in (*_ASKERS, "operator")]
    kubectl = wanted.programs["kubectl"]
    return IdentitiesPart(accounts, wanted.place, kubectl, wanted.client_environment, after=("chart",))


def _services(wanted: ClusterPlan) -> Sequence[Part]:
    """Return the services as they run without a cluster, but for where workspaces and credentials come from."""
    services = [part for part in topology.parts(wanted.plan) if isinstance(part, ProcessPart) and _is_service(part)]
    return [_in_cluster(wanted, part) for part in services]


def _in_cluster(wanted: ClusterPlan, part: ProcessPart) -> Part:
    told = {**part.env, "WORKSPACES_PATH": "", **_shared_token(wanted, part.name)}
    if part.name not in _ASKERS:
        return dataclasses.replace(part, env=told)
    files = identity(wanted.place, _account(part.name))
    told |= {"SECRETS_NAMESPACE": CREDENTIALS_NAMESPACE} if part.name in _READERS else {}
    told |= {"PROVISIONING": "kubernetes"} if part.name == "workspaces" else {}
    told |= {
        "KUBERNETES_API_URL": f"https://{LOOPBACK}:{wanted.plan.port(API_SERVER_PORT)}",
        "KUBERNETES_TOKEN_FILE": str(files.token),
        "KUBERNETES_CA_FILE": str(files.authority),
    }
    return dataclasses.replace(part, env=told, after=(*part.after, "identities"))


def _shared_token(wanted: ClusterPlan, name: str) -> dict[str, str]:
    """The emulator's token is for all workspaces that name none, as in the chart's demo; a real one for no other's."""
    shared = wanted.plan.upstreams.emulated
    token = wanted.plan.upstreams.airtable_token if shared and name == "airtable-gateway" else ""
    return {"AIRTABLE_TOKEN": token, "SHARED_AIRTABLE_TOKEN": str(shared).lower()}


def _operator(wanted: ClusterPlan) -> Part:
    plan, port = wanted.plan, wanted.plan.port(OPERATOR_PORT)
    told = {
        **topology.platform_environment(plan),
        **_shared_token(wanted, "operator"),
        "KUBECONFIG": str(identity(wanted.place, _account("operator")).kubeconfig),
        "OPERATOR_NAMESPACE": SYSTEM_NAMESPACE,
        "CREDENTIALS_NAMESPACE": CREDENTIALS_NAMESPACE,
        "HTTP_PORT": str(port),
        "PUBLIC_REST_URL": f"{plan.http('api-gateway')}/api",
        "PUBLIC_GRPC_TARGET": f"{LOOPBACK}:{plan.port(9000)}",
        "PUBLIC_MCP_URL": f"{plan.http('mcp-server')}/mcp",
        "PUBLIC_AIRTABLE_URL": plan.http("airtable-gateway"),
    }
    return ProcessPart(
        name="operator",
        command=[program("pyairtable-operator")],
        log_dir=wanted.place.logs,
        env=told,
        ready_path="/readyz",
        ports=(port,),
        after=("identities", *(service.name for service in SERVICES)),
    )


def _account(component: str) -> ServiceAccount:
    return ServiceAccount(SYSTEM_NAMESPACE, f"{RELEASE}-{component}")


def _is_service(part: Part) -> bool:
    return part.name in {service.name for service in SERVICES}
