"""A Kubernetes control plane: etcd, kube-apiserver and kube-controller-manager on loopback ports.

    with ControlPlane.running(find_programs(...), environment=os.environ) as plane:
        plane.kubectl("get", "namespaces")

Objects are stored, validated, admitted, collected and deleted as in any cluster; pods stay Pending, unless the network
of a node is given (see node/): then kube-scheduler runs as well, and the API server listens for the node. Everything
lies below one folder, and close() (or the end of the block) stops the processes and removes it. The processes die with
the thread that started them (see processes.py): start them in a fixture or in the main thread.
"""

import contextlib
import json
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx2
import yaml

from pyairtable_devkit.cluster import components
from pyairtable_devkit.cluster.components import Layout, Ports
from pyairtable_devkit.cluster.kubeconfig import Cluster, for_certificate, for_token, write_kubeconfig
from pyairtable_devkit.cluster.node.network import Network
from pyairtable_devkit.cluster.pki import Authority, Pair, signing_keys, write_private
from pyairtable_devkit.cluster.programs import Programs
from pyairtable_devkit.ports import LOOPBACK, free_port
from pyairtable_devkit.processes import Child

START_SECONDS = 180.0  # generous: ten seconds on an idle machine
_ADMIN = ("kubernetes-admin", ("system:masters",))
KUBELET_CLIENT = "kube-apiserver-kubelet-client"
"""Whom the kubelet sees calling when somebody asks for logs or exec; node/ gives him the right to."""
_TOKEN_REQUEST = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
_PAGE = 500
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


class ControlPlaneError(RuntimeError):
    """A part of the control plane did not start, or refused; the message holds what it said."""


class ControlPlane:
    """One control plane: its processes, its keys, and clients for it."""

    def __init__(
        self,
        programs: Programs,
        *,
        environment: Mapping[str, str],
        folder: Path | None = None,
        logs: Path | None = None,
        port: int = 0,
        audit: bool = False,
        network: Network | None = None,
    ) -> None:
        """Lay out the folder (a temporary one unless given; it must be empty) and make the keys; start() starts it.

        The logs go into a folder of their own if one is given, and stay there. Port 0 takes a free one. With audit,
        every request of others than the control plane's own parts is noted. With a network it serves a node.
        """
        if folder is not None and folder.exists() and any(folder.iterdir()):
            raise ControlPlaneError(f"{folder} is not empty: it may belong to a control plane that runs")
        self.programs = programs
        self._inherited = environment
        self._audit = audit
        self.network = network
        folder = (folder or Path(tempfile.mkdtemp(prefix="pyairtable-cluster-"))).resolve()
        self.layout = Layout(folder, logs or folder / "logs")
        self.ports = Ports(*_three_ports(port))
        self._children: dict[str, Child] = {}
        self._authority, self._etcd_authority = Authority("pyairtable-devkit"), Authority("pyairtable-devkit-etcd")
        self._write_files()
        self.api = self.client(self.kubeconfig)
        self._etcd = httpx2.Client(
            base_url=f"https://{LOOPBACK}:{self.ports.etcd}", verify=self._etcd_trust(), trust_env=False, timeout=30
        )

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, programs: Programs, *, environment: Mapping[str, str], folder: Path | None = None, audit: bool = False
    ) -> Iterator[Self]:
        """Start a control plane for the block; nothing of it is left afterwards."""
        plane = cls(programs, environment=environment, folder=folder, audit=audit)
        try:
            plane.start()
            yield plane
        finally:
            plane.close()

    # -- what clients need

    @property
    def server_url(self) -> str:
        address = self.network.host if self.network else LOOPBACK
        return f"https://{address}:{self.ports.api_server}"

    @property
    def ca_file(self) -> Path:
        return self.layout.certificate("ca")

    @property
    def kubeconfig(self) -> Path:
        """The file of the cluster's administrator (group system:masters)."""
        return self.layout.kubeconfigs / "admin.yaml"

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.server_url, self._authority.pair.certificate)

    @property
    def env(self) -> dict[str, str]:
        """The environment for kubectl, helm and other programs, as the administrator."""
        return components.client_environment(
            self._inherited,
            config=self.kubeconfig,
            caches=self.layout.folder / "caches",
            search_path=self.programs.search_path,
            network=self.network,
        )

    def client(self, config: Path) -> httpx2.Client:
        """Return an HTTP client of the API server that authenticates as a kubeconfig of ours says; close it."""
        user = yaml.safe_load(config.read_text())["users"][0]["user"]
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if "client-key-data" in user:
            pem = self.layout.folder / "client.pem"
            write_private(pem, b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
            trust.load_cert_chain(pem)
            pem.unlink()
        return httpx2.Client(base_url=self.server_url, verify=trust, headers=headers, trust_env=False, timeout=60)

    def issue_server(self, name: str, hosts: Sequence[str]) -> Pair:
        """Return a certificate for a server of the cluster, signed by its authority."""
        return self._authority.issue_server(name, hosts)

    def issue_client(self, user: str, groups: Sequence[str] = ()) -> Pair:
        """Return a certificate for a client of the cluster: a user in groups."""
        return self._authority.issue_client(user, groups)

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Return a new kubeconfig of a user, who proves himself with a client certificate."""
        pair = self._authority.issue_client(user, groups)
        return self._write_kubeconfig(user, for_certificate(self.cluster, pair))

    def kubeconfig_for_service_account(self, namespace: str, name: str, seconds: int = 86_400) -> Path:
        """Return a new kubeconfig of a ServiceAccount that exists, with a token for so many seconds."""
        document = for_token(self.cluster, self.token(namespace, name, seconds), namespace)
        return self._write_kubeconfig(f"{namespace}-{name}", document)

    def token(self, namespace: str, service_account: str, seconds: int = 3600) -> str:
        """Mint a token of a ServiceAccount that exists (TokenRequest; ten minutes at least)."""
        answer = self.api.post(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token",
            json={**_TOKEN_REQUEST, "spec": {"expirationSeconds": seconds}},
        )
        if answer.is_error:
            raise ControlPlaneError(f"No token for ServiceAccount {namespace}/{service_account}: {answer.text}")
        return str(answer.json()["status"]["token"])

    def kubectl(
        self, *arguments: str | Path, input: str | None = None, check: bool = True, kubeconfig: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator, or as a kubeconfig says; with check, what fails raises its output."""
        return self._run("kubectl", arguments, input, check, kubeconfig)

    def helm(
        self, *arguments: str | Path, input: str | None = None, check: bool = True, kubeconfig: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run helm, like kubectl."""
        return self._run("helm", arguments, input, check, kubeconfig)

    # -- life cycle

    def start(self) -> None:
        """Start everything and return when controllers work; after stop(), with the same data and ports."""
        self.begin()
        self._wait()

    def begin(self) -> None:
        """Start what needs nothing else; advance() does the rest."""
        if self._children:
            raise ControlPlaneError("The control plane is running already: stop() it first")
        self._spawn("etcd", components.etcd(self.layout, self.ports))

    def advance(self) -> bool:
        """Start what can be started by now and return whether all is ready. Does not wait.

        The order matters: a controller manager that starts before the API server is ready exits, as the roles of
        its own that the server makes are not there yet.
        """
        if "kube-apiserver" not in self._children:
            if self._etcd_answers():
                self._spawn("kube-apiserver", self._api_server_options())
            return False
        if not self._answers("/readyz"):
            return False
        if "kube-controller-manager" not in self._children:
            self._spawn("kube-controller-manager", components.controller_manager(self.layout, self.network))
            if self.network is not None and "kube-scheduler" not in self._children:
                self._spawn("kube-scheduler", components.scheduler(self.layout))
            return False
        return self._answers("/api/v1/namespaces/default/serviceaccounts/default")

    def failure(self) -> str:
        """Return why it cannot go on (which process ended, and its last output), empty while all is well."""
        for name, child in self._children.items():
            if (code := child.exit_code()) is not None:
                return f"{name} ended with exit code {code}; its log {child.log_path} ends:\n{child.log_tail()}"
        return ""

    def stop(self) -> None:
        """Stop all processes in order; the data stay for start()."""
        for name in reversed(COMPONENTS):
            if child := self._children.pop(name, None):
                # The API server would wait a minute for its watches to end.
                child.stop(ask=signal.SIGTERM, grace=3.0)

    def restart_apiserver(self, *, hard: bool = False) -> None:
        """Restart only the API server (hard: by kill -9) and return when it is ready; every watch is cut."""
        self.stop_apiserver(hard=hard)
        self.start_apiserver()

    def stop_apiserver(self, *, hard: bool = False) -> None:
        """Take the API server away: connections to it are refused until start_apiserver()."""
        child = self._children.pop("kube-apiserver")
        child.kill() if hard else child.stop(grace=3.0)

    def start_apiserver(self) -> None:
        """Bring the API server back after stop_apiserver() and return when all is ready again."""
        self._wait()

    def close(self) -> None:
        """Stop everything and remove the folder."""
        self.stop()
        self.api.close()
        self._etcd.close()
        shutil.rmtree(self.layout.folder, ignore_errors=True)

    def pid(self, component: str) -> int:
        """Return the process of etcd, kube-apiserver or kube-controller-manager."""
        return self._children[component].pid

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run, by component."""
        return {name: child.pid for name, child in self._children.items() if child.exit_code() is None}

    # -- what is inside

    def etcd_items(self, prefix: str = "/") -> Iterator[tuple[str, bytes]]:
        """Give every key of etcd below a prefix with its value as it is stored.

        Built-in objects are protobuf with their strings in plain, custom resources JSON. Keys look like
        /registry/secrets/NAMESPACE/NAME.
        """
        key, end = prefix.encode(), _after(prefix.encode())
        while True:
            query = {"key": b64encode(key).decode(), "range_end": b64encode(end).decode(), "limit": _PAGE}
            answer = self._etcd.post("/v3/kv/range", json=query).raise_for_status().json()
            items = [(b64decode(one["key"]), b64decode(one.get("value", ""))) for one in answer.get("kvs", [])]
            yield from ((name.decode(), value) for name, value in items)
            if not answer.get("more"):
                return
            key = items[-1][0] + b"\0"

    def etcd_dump(self) -> bytes:
        """Return everything that etcd stores now, a line with the key before each value."""
        return b"".join(b"\n%s\n%s" % (key.encode(), value) for key, value in self.etcd_items())

    def audit_mark(self) -> int:
        """Return where the audit log ends now, for audit_events(since)."""
        return self.layout.audit_log.stat().st_size if self.layout.audit_log.exists() else 0

    def audit_events(self, since: int = 0, user: str = "") -> list[dict[str, Any]]:
        """Return the audit events after a mark, of one user or of all: verb, user, objectRef, responseStatus ..."""
        if not self._audit:
            raise ControlPlaneError("This control plane keeps no audit log: make it with audit=True")
        with self.layout.audit_log.open("rb") as log:
            log.seek(since)
            events = [json.loads(line) for line in log if line.endswith(b"\n")]
        return [event for event in events if user in ("", event["user"]["username"])]

    # -- inside

    def _write_files(self) -> None:
        for folder in (self.layout.folder, self.layout.keys, self.layout.kubeconfigs, self.layout.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = self.layout.keys
        self._authority.pair.write(keys, "ca")
        addresses = [str(self.network.host), str(self.network.api_service)] if self.network else []
        self.issue_server("kube-apiserver", [*components.SERVER_HOSTS, *addresses]).write(keys, "api-server")
        write_private(self.layout.certificate("etcd-ca"), self._etcd_authority.pair.certificate)
        self._etcd_authority.issue_server("etcd", [LOOPBACK, "localhost"]).write(keys, "etcd")
        self._etcd_authority.issue_client("kube-apiserver").write(keys, "etcd-client")
        private, public = signing_keys()
        write_private(self.layout.key("service-accounts"), private)
        write_private(keys / "service-accounts.pub", public)
        self.layout.authentication.write_text(yaml.safe_dump(components.authentication_configuration()))
        self.layout.audit_policy.write_text(yaml.safe_dump(components.audit_policy()))
        for name, user, groups in (("admin", *_ADMIN), ("controller-manager", "system:kube-controller-manager", ())):
            document = for_certificate(self.cluster, self._authority.issue_client(user, groups))
            write_kubeconfig(self.layout.kubeconfigs / f"{name}.yaml", document)
        if self.network is not None:
            self._write_keys_for_node()

    def _write_keys_for_node(self) -> None:
        """Keys by which the API server calls the kubelet and API servers in pods."""
        keys, front_proxy = self.layout.keys, Authority("pyairtable-devkit-front-proxy")
        self._authority.issue_client(KUBELET_CLIENT).write(keys, "kubelet-client")
        write_private(self.layout.certificate("front-proxy-ca"), front_proxy.pair.certificate)
        front_proxy.issue_client("front-proxy-client").write(keys, "front-proxy-client")
        document = for_certificate(self.cluster, self._authority.issue_client("system:kube-scheduler"))
        write_kubeconfig(self.layout.kubeconfigs / "scheduler.yaml", document)

    def _api_server_options(self) -> list[str]:
        return components.api_server(self.layout, self.ports, audit=self._audit, network=self.network)

    def _write_kubeconfig(self, name: str, document: Mapping[str, Any]) -> Path:
        safe = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in name)
        number = len(list(self.layout.kubeconfigs.iterdir()))
        return write_kubeconfig(self.layout.kubeconfigs / f"{safe}-{number}.yaml", document)

    def _etcd_trust(self) -> ssl.SSLContext:
        trust = ssl.create_default_context(cafile=str(self.layout.certificate("etcd-ca")))
        trust.load_cert_chain(self.layout.certificate("etcd-client"), self.layout.key("etcd-client"))
        return trust

    def _spawn(self, name: str, options: Sequence[str]) -> None:
        log_path = self.layout.logs / f"{name}.log"
        # None of the caller's settings: GOMEMLIMIT, ETCD_... and proxies would change what is started.
        environment = {"PATH": self._inherited.get("PATH", ""), "HOME": str(self.layout.folder)}
        self._children[name] = Child.start(name, [self.programs[name], *options], log_path=log_path, env=environment)

    def _wait(self) -> None:
        """Advance until all is ready."""
        deadline = time.monotonic() + START_SECONDS
        while not self.advance():
            self._forget_stranded_controllers()
            if failure := self.failure():
                raise ControlPlaneError(failure)
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"Not ready within {START_SECONDS:.0f} s; {self._tails()}")
            time.sleep(0.05)

    def _forget_stranded_controllers(self) -> None:
        """Have the controller manager started again if it gave up while there was no API server, as a cluster would."""
        child = self._children.get("kube-controller-manager")
        if child is not None and child.exit_code() is not None and not self._answers("/readyz"):
            del self._children["kube-controller-manager"]

    def _answers(self, path: str) -> bool:
        try:
            return self.api.get(path, timeout=5).is_success
        except httpx2.TransportError:
            return False

    def _etcd_answers(self) -> bool:
        try:
            return self._etcd.get("/health", timeout=5).is_success
        except httpx2.TransportError:
            return False

    def _run(
        self, program: str, arguments: Sequence[str | Path], input: str | None, check: bool, config: Path | None
    ) -> subprocess.CompletedProcess[str]:
        environment = self.env if config is None else {**self.env, "KUBECONFIG": str(config)}
        argv = [str(self.programs[program]), *map(str, arguments)]
        done = subprocess.run(
            argv, input=input, capture_output=True, text=True, env=environment, check=False, timeout=600
        )
        if check and done.returncode != 0:
            said = f"{done.stdout}{done.stderr}".strip()
            raise ControlPlaneError(f"{program} {' '.join(argv[1:])} ended with {done.returncode}: {said}")
        return done

    def _tails(self) -> str:
        return "\n".join(f"{child.log_path} ends:\n{child.log_tail(5)}" for child in self._children.values())


def _three_ports(first: int) -> Iterator[int]:
    """Give three different free ports, the first of them the given one unless it is 0."""
    ports = {first or free_port(): None}
    while len(ports) < 3:
        ports[free_port()] = None
    return iter(ports)


def _after(prefix: bytes) -> bytes:
    """Return the first key that no longer begins with the prefix."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
