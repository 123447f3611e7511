"""What a running cluster leaves word of, for `cluster down`, `status` and `kubeconfig`: one file in its data folder."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil

from pyairtable_devkit.processes import command_line

_START_SLACK_SECONDS = 1.0


@dataclass(frozen=True)
class Place:
    """The data folder of a cluster."""

    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / "running.json"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def plane(self) -> Path:
        """All that the control plane keeps; gone when it stops."""
        return self.folder / "control-plane"

    @property
    def node(self) -> Path:
        """All that the node keeps: containers, images, volumes; gone when it stops."""
        return self.folder / "node"

    @property
    def identities(self) -> Path:
        """Kubeconfigs of the platform's ServiceAccounts; gone when it stops."""
        return self.folder / "identities"

    @property
    def secrets(self) -> Path:
        """API key and JWT secret of the installation; gone when it stops."""
        return self.folder / "secrets"

    @property
    def data(self) -> list[Path]:
        """Folders that go when the cluster stops; the names of the last two are the stack's."""
        stack = [self.folder / "postgres", self.folder / "valkey"]
        return [self.plane, self.identities, self.secrets, self.caches, *stack]

    @property
    def caches(self) -> Path:
        return self.folder / "caches"


@dataclass(frozen=True)
class Record:
    """Which process runs a cluster, of which sort, and how far it is."""

    pid: int
    started: float
    """When the process began, by the system's clock: a number that is given away again does not deceive us."""
    provider: str
    bare: bool
    port_offset: int
    ready: bool = False
    node: int | None = None
    """The number of the node's network; None without a node, and with kind's."""
    merged: list[str] = field(default_factory=list)
    """Kubeconfig files of the user's that our context was merged into."""

    def is_running(self) -> bool:
        """Return whether the process is still there and really is a `cluster up`."""
        try:
            began = float(psutil.Process(self.pid).create_time())
        except psutil.Error:
            return False
        words = command_line(self.pid)
        return abs(began - self.started) < _START_SLACK_SECONDS and "cluster" in words and "up" in words


def of_this_process(provider: str, *, bare: bool, port_offset: int, node: int | None = None) -> Record:
    """Return the record of the cluster that this process is about to run."""
    return Record(os.getpid(), float(psutil.Process().create_time()), provider, bare, port_offset, node=node)


def write_record(place: Place, record: Record) -> None:
    """Leave word, whole or not at all."""
    place.folder.mkdir(parents=True, exist_ok=True)
    draft = place.record.with_suffix(".new")
    draft.write_bytes(orjson.dumps(asdict(record)))
    draft.replace(place.record)


def read_record(place: Place) -> Record | None:
    """Return the record of a folder, also one of a process that is gone; None when there is none."""
    try:
        values: dict[str, Any] = orjson.loads(place.record.read_bytes())
        return Record(**values)
    except (FileNotFoundError, ValueError, TypeError):
        return None
