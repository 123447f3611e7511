"""The parts of a cluster with a node for stack.py: its sandbox, the node in it, and the images that it is given."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyairtable_devkit.cluster.cluster_parts import KIND_CLUSTER, ControlPlanePart
from pyairtable_devkit.cluster.node.cgroups import CgroupError
from pyairtable_devkit.cluster.node.network import Network, NetworkError
from pyairtable_devkit.cluster.node.node import Node
from pyairtable_devkit.cluster.node.sandbox import SandboxError
from pyairtable_devkit.cluster.programs import Programs
from pyairtable_devkit.cluster.record import Place
from pyairtable_devkit.parts import PartFailedError

_FAILURES = (CgroupError, NetworkError, SandboxError, OSError, ValueError)
_LOAD_SECONDS = 600
Load = Callable[[Path], None]


@dataclass
class SandboxPart:
    """The namespaces of the node: before the control plane, which listens on the cable to them."""

    programs: Programs
    place: Place
    network: Network
    name: str = "sandbox"
    after: Sequence[str] = ()
    ports: Sequence[int] = ()
    node: Node | None = field(default=None, repr=False)
    revives: bool = False
    """Whether the node is started again when it ends, as a machine is that was switched off."""

    @property
    def pid(self) -> int | None:
        return self.node.sandbox.leader if self.node else None

    def start(self) -> None:
        self.node = Node(self.programs, folder=self.place.node, logs=self.place.logs, network=self.network)
        try:
            self.node.begin()
        except _FAILURES as error:
            raise PartFailedError(f"The node's sandbox cannot be made: {error}") from error

    def is_ready(self) -> bool:
        try:
            return self.node is not None and self.node.is_prepared()
        except _FAILURES as error:
            raise PartFailedError(f"The node cannot be joined to this machine's network: {error}") from error

    def failure(self) -> str:
        if self.node is None:
            return ""
        if self.revives:
            self.node.revive()
            return ""
        return self.node.failure()

    def stop(self) -> None:
        self.revives = False
        if self.node is not None:
            self.node.stop()
            self.node = None


@dataclass
class NodePart:
    """The node itself; ready when pods can run and know each other's names."""

    sandbox: SandboxPart
    plane: ControlPlanePart
    name: str = "node"
    after: Sequence[str] = ()
    ports: Sequence[int] = ()
    pid: int | None = None

    def start(self) -> None:
        if self.sandbox.node is not None and self.plane.plane is not None:
            self.sandbox.node.join(self.plane.plane)

    def is_ready(self) -> bool:
        try:
            self.sandbox.revives = self.sandbox.node is not None and self.sandbox.node.advance()
            return self.sandbox.revives
        except _FAILURES as error:
            raise PartFailedError(f"The node does not get ready: {error}") from error

    def failure(self) -> str:
        return ""  # what ends is started anew, as on any node; the sandbox's end is told by its part

    def stop(self) -> None:
        """End the pods before the control plane ends; what is left goes with the sandbox."""
        self.sandbox.stop()


@dataclass
class ImagesPart:
    """The images of this repository, put into the node: nothing is pulled from anywhere."""

    folder: Path
    load: Load
    name: str = "images"
    after: Sequence[str] = ()
    ports: Sequence[int] = ()
    pid: int | None = None
    _done: bool = False

    def start(self) -> None:
        for archive in sorted(self.folder.glob("*.tar")):
            try:
                self.load(archive)
            except _FAILURES as error:
                raise PartFailedError(f"The images of {archive} cannot be loaded: {error}") from error
        self._done = True

    def is_ready(self) -> bool:
        return self._done

    def failure(self) -> str:
        return ""

    def stop(self) -> None:
        """They end with the node."""


def load_into(sandbox: SandboxPart) -> Load:
    """Return what loads archives into the node of a sandbox."""

    def load(archive: Path) -> None:
        if sandbox.node is not None:
            sandbox.node.load(archive)

    return load


def load_into_kind(kind: str, environment: Mapping[str, str]) -> Load:
    """Return what loads archives into the nodes of kind's cluster."""

    def load(archive: Path) -> None:
        argv = [kind, "load", "image-archive", str(archive), "--name", KIND_CLUSTER]
        done = subprocess.run(
            argv, env=dict(environment), capture_output=True, text=True, check=False, timeout=_LOAD_SECONDS
        )
        if done.returncode != 0:
            raise SandboxError(done.stderr.strip())

    return load
