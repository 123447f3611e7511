"""The parts of a local cluster for stack.py: a control plane of ours or of kind, what the chart needs, identities."""

import base64
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pyairtable_devkit.cluster.control_plane import COMPONENTS, ControlPlane
from pyairtable_devkit.cluster.kubeconfig import (
    cluster_of,
    for_token_file,
    read_kubeconfig,
    renamed,
    write_kubeconfig,
)
from pyairtable_devkit.cluster.node.network import Network
from pyairtable_devkit.cluster.pki import write_private
from pyairtable_devkit.cluster.programs import Programs
from pyairtable_devkit.cluster.record import Place
from pyairtable_devkit.parts import PartFailedError, ProcessPart

KIND_CLUSTER = "pyairtable"
_TOKEN_LIFETIME = "720h"  # noqa: S105 - thirty days: longer than a demo is left running
_CLIENT_SECONDS = 120


@dataclass
class ControlPlanePart:
    """Our own control plane; its kubeconfig is written as soon as it is ready."""

    programs: Programs
    place: Place
    port: int
    environment: Mapping[str, str] = field(repr=False)
    network: Network | None = None
    """That of the node, if there is one."""
    name: str = "control-plane"
    after: Sequence[str] = ()
    plane: ControlPlane | None = field(default=None, repr=False)

    @property
    def ports(self) -> Sequence[int]:
        return () if self.network else (self.port,)  # with a node it listens on an address of its own

    @property
    def pid(self) -> int | None:
        return self.plane.pids.get("kube-apiserver") if self.plane else None

    def start(self) -> None:
        shutil.rmtree(self.place.plane, ignore_errors=True)  # of one that was killed: its keys are of no use any more
        for component in COMPONENTS:
            (self.place.logs / f"{component}.log").unlink(missing_ok=True)
        self.plane = ControlPlane(
            self.programs,
            environment=self.environment,
            folder=self.place.plane,
            logs=self.place.logs,
            port=self.port,
            network=self.network,
        )
        self.plane.begin()

    def is_ready(self) -> bool:
        if self.plane is None or not self.plane.advance():
            return False
        write_kubeconfig(self.place.kubeconfig, read_kubeconfig(self.plane.kubeconfig))
        return True

    def failure(self) -> str:
        return self.plane.failure() if self.plane else ""

    def stop(self) -> None:
        if self.plane is not None:
            self.plane.close()
            self.plane = None
        self.place.kubeconfig.unlink(missing_ok=True)


@dataclass
class KindPart(ProcessPart):
    """A cluster of kind's in containers. One that was there before is refused, so that stop() removes only ours."""

    place: Place = field(kw_only=True)

    def start(self) -> None:
        if KIND_CLUSTER in self._kind("get", "clusters").split():
            remedy = f"`kind delete cluster --name {KIND_CLUSTER}` removes it"
            raise PartFailedError(f"There is a kind cluster called {KIND_CLUSTER} already: {remedy}")
        super().start()

    def is_ready(self) -> bool:
        if not super().is_ready():
            return False
        document = read_kubeconfig(self.place.kubeconfig)
        write_kubeconfig(self.place.kubeconfig, renamed(document))
        return True

    def stop(self) -> None:
        if self._child is not None:
            super().stop()
            self._kind("delete", "cluster", "--name", KIND_CLUSTER)
        self.place.kubeconfig.unlink(missing_ok=True)

    def _kind(self, *arguments: str) -> str:
        argv = [self.command[0], *arguments]
        done = subprocess.run(argv, env=dict(self.env), capture_output=True, text=True, check=False, timeout=300)
        if done.returncode != 0:
            raise PartFailedError(f"kind {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout


@dataclass(frozen=True)
class ServiceAccount:
    """Whom a process of the platform is towards the cluster."""

    namespace: str
    name: str


@dataclass
class IdentitiesPart:
    """Kubeconfigs by which processes outside of the cluster act as the ServiceAccounts that the chart made."""

    accounts: Sequence[ServiceAccount]
    place: Place
    kubectl: Path
    environment: Mapping[str, str] = field(repr=False)
    name: str = "identities"
    after: Sequence[str] = ()
    ports: Sequence[int] = ()
    pid: int | None = None
    _done: bool = False

    def start(self) -> None:
        cluster = cluster_of(read_kubeconfig(self.place.kubeconfig))
        for account in self.accounts:
            files = identity(self.place, account)
            files.folder.mkdir(parents=True, exist_ok=True)
            write_private(files.token, self._token(account).encode())
            files.authority.write_bytes(cluster.authority)
            write_kubeconfig(files.kubeconfig, for_token_file(cluster, files.token, account.namespace))
        self._done = True

    def is_ready(self) -> bool:
        return self._done

    def failure(self) -> str:
        return ""

    def stop(self) -> None:
        shutil.rmtree(self.place.identities, ignore_errors=True)

    def _token(self, account: ServiceAccount) -> str:
        argv = ["create", "token", account.name, "-n", account.namespace, f"--duration={_TOKEN_LIFETIME}"]
        return _ask(self.kubectl, argv, self.environment, f"No token for the ServiceAccount {account.name}").strip()


@dataclass
class SecretPart:
    """A Secret, in a namespace that is made for it, before the chart that names it."""

    name: str
    namespace: str
    secret: str
    data: Mapping[str, str] = field(repr=False)
    kubectl: Path
    environment: Mapping[str, str] = field(repr=False)
    after: Sequence[str] = ()
    ports: Sequence[int] = ()
    pid: int | None = None
    _done: bool = False

    def start(self) -> None:
        encoded = {name: base64.b64encode(value.encode()).decode() for name, value in self.data.items()}
        metadata = {"name": self.secret, "namespace": self.namespace}
        items = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded},
        ]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        # Not client-side: that would write the values a second time, into an annotation.
        argv = ["apply", "--server-side", "-f", "-"]
        _ask(self.kubectl, argv, self.environment, f"The Secret {self.secret} cannot be made", text)
        self._done = True

    def is_ready(self) -> bool:
        return self._done

    def failure(self) -> str:
        return ""

    def stop(self) -> None:
        """Ends with its cluster."""


def _ask(kubectl: Path, arguments: Sequence[str], environment: Mapping[str, str], fault: str, text: str = "") -> str:
    """Run kubectl and return what it prints; raises PartFailedError."""
    done = subprocess.run(
        [kubectl, *arguments],
        env=dict(environment),
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=_CLIENT_SECONDS,
    )
    if done.returncode != 0:
        raise PartFailedError(f"{fault}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class IdentityFiles:
    """What a process needs to act as a ServiceAccount: the files of a pod, and a kubeconfig that says the same."""

    folder: Path

    @property
    def token(self) -> Path:
        return self.folder / "token"

    @property
    def authority(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"


def identity(place: Place, account: ServiceAccount) -> IdentityFiles:
    """Return where the files of a ServiceAccount lie."""
    return IdentityFiles(place.identities / account.name)


def kind_configuration(written: str, *, api_port: int, port_offset: int, mappings: bool) -> str:
    """Return kind's configuration for one cluster: its API port, and its other ports moved.

    Without mappings it opens no other port: they belong to the processes beside the cluster.
    """
    document = yaml.safe_load(written)
    document["networking"]["apiServerPort"] = api_port
    for node in document["nodes"]:
        ports = node.pop("extraPortMappings", [])
        if mappings:
            node["extraPortMappings"] = [{**port, "hostPort": port["hostPort"] + port_offset} for port in ports]
    return yaml.safe_dump(document, sort_keys=False)
