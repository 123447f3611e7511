"""What is started beside a cluster, and whose cluster it is. The kind here is a script."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from pyairtable_devkit import topology
from pyairtable_devkit.cluster.cluster_parts import KindPart, SecretPart
from pyairtable_devkit.cluster.kubeconfig import CONTEXT
from pyairtable_devkit.cluster.launching import ClusterError, choose_kind
from pyairtable_devkit.cluster.node.network import Network
from pyairtable_devkit.cluster.programs import PROGRAMS, Programs
from pyairtable_devkit.cluster.record import Place
from pyairtable_devkit.cluster.system import ClusterPlan, cluster_parts
from pyairtable_devkit.parts import Part, PartFailedError, ProcessPart
from pyairtable_devkit.stack import Stack

PROGRAM_PATHS = Programs({program.name: Path("/programs") / program.name for program in PROGRAMS})
REAL = {"AIRTABLE_TOKEN": "one", "GEMINI_API_KEY": "two", "AIRTABLE_BASE": "appOne"}
SECRETS = {"API_KEY": "not-a-real-key", "JWT_SECRET": "not-a-real-secret"}
Put = Callable[[str, str], Path]


def _wanted(
    tmp_path: Path, *, bare: bool = False, kind: str = "", told: Mapping[str, str] | None = None
) -> ClusterPlan:
    environment = {"PATH": "/bin", **(told or {})}
    upstreams = topology.choose_upstreams(environment, 100)
    plan = topology.Plan(tmp_path, tmp_path, upstreams, environment, 100, secrets=SECRETS)
    return ClusterPlan(Place(tmp_path), PROGRAM_PATHS, plan, bare=bare, kind=kind, environment=environment)


def _named(parts: list[Part]) -> dict[str, ProcessPart]:
    return {part.name: part for part in parts if isinstance(part, ProcessPart)}


def test_everything_is_started_in_an_order_that_holds(tmp_path: Path) -> None:
    parts = cluster_parts(_wanted(tmp_path))
    Stack(parts, report=lambda _: None)  # raises when a part stands before what it needs
    names = [part.name for part in parts]
    beside = {"postgres", "mailbox", "operator", *(service.name for service in topology.SERVICES)}
    assert {"control-plane", "keys", "chart", "identities", *beside} <= set(names)
    assert len(names) == len(set(names))
    ports = [port for part in parts for port in part.ports]
    assert len(ports) == len(set(ports))


def test_bare_is_the_control_plane_alone(tmp_path: Path) -> None:
    (part,) = cluster_parts(_wanted(tmp_path, bare=True))
    assert (part.name, part.ports) == ("control-plane", (16543,))


def test_a_cluster_with_a_node_has_nothing_beside_it(tmp_path: Path) -> None:
    wanted = dataclasses.replace(_wanted(tmp_path), node=True, network=Network(7))
    parts = cluster_parts(wanted)
    Stack(parts, report=lambda _: None)
    assert [part.name for part in parts] == ["sandbox", "control-plane", "node", "images"]
    assert not any(part.ports for part in parts)  # it listens on addresses of its own
    assert "10.245.7.1" in wanted.client_environment["NO_PROXY"]


def test_with_kind_the_images_go_into_its_node(tmp_path: Path, put_script: Put) -> None:
    kind = put_script("kind", 'echo "$@" >> "$CALLS"; [ "$5" = pyairtable ]')
    told = {"CALLS": str(tmp_path / "calls")}
    wanted = dataclasses.replace(_wanted(tmp_path, kind=str(kind), told=told), node=True, repository=tmp_path)
    (tmp_path / "kind-config.yaml").write_text(
        "networking: {}\nnodes: [{role: control-plane, extraPortMappings: []}]\n"
    )
    wanted.images.mkdir(parents=True)
    (wanted.images / "services.tar").touch()
    _, images = cluster_parts(wanted)
    images.start()
    assert images.is_ready()
    archive = wanted.images / "services.tar"
    assert (tmp_path / "calls").read_text() == f"load image-archive {archive} --name pyairtable\n"


def test_who_calls_the_api_does_so_as_itself(tmp_path: Path) -> None:
    parts = _named(cluster_parts(_wanted(tmp_path)))
    readers = {name for name, part in parts.items() if "SECRETS_NAMESPACE" in part.env}
    assert readers == {"airtable-gateway", "llm-orchestrator"}
    askers = {name for name, part in parts.items() if "KUBERNETES_TOKEN_FILE" in part.env}
    assert askers == {*readers, "auth", "workspaces"}
    for name in askers:
        token = parts[name].env["KUBERNETES_TOKEN_FILE"]
        assert token == str(tmp_path / "identities" / f"pyairtable-{name}" / "token")
        assert "identities" in parts[name].after
        assert parts[name].env["KUBERNETES_API_URL"] == "https://127.0.0.1:16543"
    others = set(parts) - {"operator", "chart"}
    assert not any("KUBECONFIG" in parts[name].env for name in others)
    assert parts["operator"].env["KUBECONFIG"] == str(tmp_path / "identities" / "pyairtable-operator" / "kubeconfig")


def test_workspaces_and_tokens_come_from_the_cluster(tmp_path: Path) -> None:
    parts = _named(cluster_parts(_wanted(tmp_path)))
    services = [parts[service.name] for service in topology.SERVICES]
    assert all(service.env["WORKSPACES_PATH"] == "" for service in services)
    assert parts["operator"].env["PUBLIC_MCP_URL"] == "http://127.0.0.1:8101/mcp"
    assert parts["operator"].env["WORKSPACES_TARGET"] == "127.0.0.1:9106"


def test_the_emulators_token_is_shared_and_a_real_one_is_nobodys(tmp_path: Path) -> None:
    for told, token, shared in (({}, "patEmulatorAll.everything", "true"), (REAL, "", "false")):
        parts = _named(cluster_parts(_wanted(tmp_path, told=told)))
        names = [*(service.name for service in topology.SERVICES), "operator"]
        assert {parts[name].env["SHARED_AIRTABLE_TOKEN"] for name in names} == {shared}
        tokens = {name: parts[name].env["AIRTABLE_TOKEN"] for name in names}
        assert tokens == {**dict.fromkeys(names, ""), "airtable-gateway": token}


def test_workspaces_of_calls_become_objects_of_the_cluster(tmp_path: Path) -> None:
    parts = _named(cluster_parts(_wanted(tmp_path)))
    told = {name for name, part in parts.items() if part.env.get("PROVISIONING") == "kubernetes"}
    assert told == {"workspaces"}


def test_the_chart_and_all_processes_have_the_same_keys_and_nothing_is_open(tmp_path: Path) -> None:
    parts = cluster_parts(_wanted(tmp_path))
    (keys,) = [part for part in parts if isinstance(part, SecretPart)]
    assert keys.data == SECRETS
    assert not any(value in repr(keys) for value in SECRETS.values())
    named = _named(parts)
    for name in ("operator", *(service.name for service in topology.SERVICES)):
        assert named[name].env["API_KEY"] == SECRETS["API_KEY"]
        assert "OPEN_ACCESS" not in named[name].env
    chosen = "credentials.apiKey.existingSecret=pyairtable-keys,credentials.jwtSecret.existingSecret=pyairtable-keys"
    assert chosen in named["chart"].command


def test_a_secret_is_sent_to_kubectl_by_its_standard_input(tmp_path: Path, put_script: Put) -> None:
    kubectl = put_script("kubectl", f'echo "$@" > {tmp_path}/arguments; cat > {tmp_path}/sent')
    part = SecretPart("keys", "there", "named", {"API_KEY": "abc"}, kubectl, {"PATH": "/bin:/usr/bin"})
    part.start()
    assert part.is_ready()
    assert "YWJj" not in (tmp_path / "arguments").read_text()
    space, secret = json.loads((tmp_path / "sent").read_text())["items"]
    assert (space["metadata"]["name"], secret["metadata"]["namespace"]) == ("there", "there")
    assert secret["data"] == {"API_KEY": "YWJj"}


def test_a_secret_that_is_refused_stops_the_start(put_script: Put) -> None:
    kubectl = put_script("kubectl", "echo forbidden >&2; exit 1")
    part = SecretPart("keys", "there", "named", {"API_KEY": "abc"}, kubectl, {"PATH": "/bin:/usr/bin"})
    with pytest.raises(PartFailedError, match="named cannot be made: forbidden"):
        part.start()
    assert not part.is_ready()


def test_tenants_are_told_where_the_doors_are_and_rest_with_its_prefix(tmp_path: Path) -> None:
    told = _named(cluster_parts(_wanted(tmp_path)))["operator"].env
    assert {name: value for name, value in told.items() if name.startswith("PUBLIC_")} == {
        "PUBLIC_URL": "http://localhost:8100",
        "PUBLIC_REST_URL": "http://127.0.0.1:8100/api",
        "PUBLIC_GRPC_TARGET": "127.0.0.1:9100",
        "PUBLIC_MCP_URL": "http://127.0.0.1:8101/mcp",
        "PUBLIC_AIRTABLE_URL": "http://127.0.0.1:8102",
    }


def test_the_chart_is_not_waited_for_and_never_gives_a_real_airtable_the_emulators_token(tmp_path: Path) -> None:
    emulated = _named(cluster_parts(_wanted(tmp_path)))["chart"].command
    assert "--wait" not in emulated
    assert "demo.tenant.enabled=false" not in emulated
    assert "demo.tenant.enabled=false" in _named(cluster_parts(_wanted(tmp_path, told=REAL)))["chart"].command


def test_kind_opens_the_documented_ports_only_when_nothing_runs_beside_it(tmp_path: Path) -> None:
    for bare in (True, False):
        (part,) = (part for part in cluster_parts(_wanted(tmp_path, bare=bare, kind="/kind")) if part.name == "kind")
        assert isinstance(part, KindPart)
        configuration = yaml.safe_load(Path(part.command[part.command.index("--config") + 1]).read_text())
        assert configuration["networking"]["apiServerPort"] == 16543
        (node,) = configuration["nodes"]
        opened = [mapping["hostPort"] for mapping in node.get("extraPortMappings", [])]
        assert opened[:2] + opened[-1:] == ([8100, 8101, 9108] if bare else [])


def _kind_part(kind: Path, tmp_path: Path) -> KindPart:
    environment = {"PATH": "/bin:/usr/bin"}
    command = [str(kind), "create", "cluster"]
    return KindPart("kind", command, tmp_path / "logs", environment, place=Place(tmp_path))


def test_a_kind_cluster_of_somebody_else_is_refused_and_not_deleted(tmp_path: Path, put_script: Put) -> None:
    part = _kind_part(put_script("kind", f'echo "$@" >> {tmp_path}/calls; echo pyairtable'), tmp_path)
    with pytest.raises(PartFailedError, match="already"):
        part.start()
    part.stop()
    assert (tmp_path / "calls").read_text().split("\n") == ["get clusters", ""]


def test_our_kind_cluster_is_deleted_even_if_it_was_never_ready(tmp_path: Path, put_script: Put) -> None:
    part = _kind_part(
        put_script("kind", f'echo "$@" >> {tmp_path}/calls; [ "$1" != create ] || exec sleep 600'), tmp_path
    )
    part.start()
    assert not part.is_ready()
    part.stop()
    assert (tmp_path / "calls").read_text().splitlines()[-1] == "delete cluster --name pyairtable"


def test_the_context_of_kind_gets_our_name(tmp_path: Path, put_script: Put) -> None:
    written = {
        "kind": "Config",
        "clusters": [{"name": "kind-pyairtable", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "kind-pyairtable", "context": {"cluster": "kind-pyairtable", "user": "kind-pyairtable"}}],
        "users": [{"name": "kind-pyairtable", "user": {}}],
    }
    part = _kind_part(put_script("kind", ""), tmp_path)
    part.start()
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(written))
    while not part.is_ready():
        assert not part.failure()
    assert yaml.safe_load((tmp_path / "kubeconfig").read_text())["current-context"] == CONTEXT
    part.stop()
    assert not (tmp_path / "kubeconfig").exists()


@pytest.mark.parametrize(("engine", "expected"), [("exit 0", True), ("exit 1", False)])
def test_kind_is_used_only_where_a_container_engine_answers(
    tmp_path: Path, put_script: Put, engine: str, expected: bool
) -> None:
    kind = put_script("bin/kind", "exit 0")
    put_script("bin/docker", engine)
    environment = {"PATH": str(tmp_path / "bin")}
    assert choose_kind("auto", environment) == (str(kind) if expected else "")
    assert choose_kind("built", environment) == ""


def test_kind_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    assert choose_kind("auto", {"PATH": str(tmp_path)}) == ""
    with pytest.raises(ClusterError, match="kind was asked for"):
        choose_kind("kind", {"PATH": str(tmp_path)})
