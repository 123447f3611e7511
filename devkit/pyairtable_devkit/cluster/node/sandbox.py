"""The namespaces in which a node lives, from the outside: started, entered, ended.

When process 1 of a PID namespace dies, the kernel kills every process in it, and with the last of them go its mounts
and its network. Process 1 dies with `unshare`, and `unshare` with us: nothing outlives a kill -9 of this process but
the control groups and the folder, which remove_traces() removes.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from pyairtable_devkit.cluster.node import cgroups, network
from pyairtable_devkit.cluster.node.network import Network
from pyairtable_devkit.processes import Child

_INIT = Path(__file__).with_name("init.py")
_NAMESPACES = ("--pid", "--mount", "--net", "--ipc", "--uts")
PREPARED = "prepared"
"""The file that says that the node's file system is."""
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
"""Where Debian has what a node needs; not every account's PATH names the folders of the administrator."""


class SandboxError(RuntimeError):
    """A node's namespaces could not be made or entered; the message says why."""


@dataclass(frozen=True)
class NodeProgram:
    """A program that runs in the node, from its start to its end."""

    name: str
    argv: Sequence[str]
    needs: Path | None = None
    """A path, as the node sees it, that must exist before it starts."""


class Sandbox:
    """The namespaces of one node and what runs in them."""

    def __init__(self, folder: Path, network: Network, logs: Path, search_path: str) -> None:
        """Start nothing. The folder must be empty or missing; search_path is for the node's programs."""
        self.folder, self.network, self.logs = folder, network, logs
        self.environment = {"PATH": f"{search_path}:{SYSTEM_PATH}", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        self._child: Child | None = None
        self._joined = False

    @property
    def cgroup(self) -> str:
        """The name of the node's control groups below the root of each hierarchy."""
        return cgroup_name(self.folder)

    def start(self) -> None:
        """Start process 1 of a new node; is_prepared() does the rest."""
        remove_traces(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.boot()

    def boot(self) -> None:
        """Start process 1; it finds the files of the node that was there before, as after a power cut."""
        (self.folder / PREPARED).unlink(missing_ok=True)
        network.cut_cable(self.network)
        self._joined = False
        cgroups.make(self.cgroup)
        argv = ["/usr/bin/unshare", *_NAMESPACES, "--fork", "--kill-child=SIGKILL", "--mount-proc"]
        argv += ["--propagation", "slave", "--"]  # what this machine unmounts is not held by the node
        argv += [sys.executable, "-I", "-S", str(_INIT), str(self.folder)]
        argv += map(str, cgroups.make(f"{self.cgroup}/node"))
        self._child = Child.start("node", argv, log_path=self.logs / "node.log", env=self.environment)

    def is_prepared(self) -> bool:
        """Return whether programs can be started; joins the node's network to ours as soon as that can be done."""
        if not (self.folder / PREPARED).exists():
            return False
        if not self._joined:
            network.lay_cable(self.network, self.pid)
            self._joined = True
        return True

    def run_programs(self, programs: Sequence[NodeProgram]) -> None:
        """Have process 1 start programs, each with a log of its own, and again when they end."""
        plan = [
            {
                "name": program.name,
                "argv": [str(word) for word in program.argv],
                "env": self.environment,
                "log": str(self.logs / f"{program.name}.log"),
                "needs": str(program.needs or ""),
            }
            for program in programs
        ]
        draft = self.folder / "programs.new"
        draft.write_text(json.dumps(plan))
        draft.replace(self.folder / "programs.json")

    @property
    def pid(self) -> int:
        """The node's process 1, as this machine numbers it."""
        if self._child is not None:
            for process in psutil.Process(self._child.pid).children():
                return int(process.pid)
        raise SandboxError("The node does not run")

    def has(self, path: Path) -> bool:
        """Return whether there is such a path in the node."""
        return Path(f"/proc/{self.pid}/root{path}").exists()

    @property
    def leader(self) -> int | None:
        """Our child above process 1, None when it does not run."""
        return self._child.pid if self._child and self._child.exit_code() is None else None

    def run(self, *argv: str | Path, seconds: float = 120.0) -> str:
        """Run a command in the node and return what it prints; raises SandboxError."""
        entered = ["nsenter", "--target", str(self.pid), *_NAMESPACES, "--", *map(str, argv)]
        done = subprocess.run(
            entered, env=self.environment, capture_output=True, text=True, check=False, timeout=seconds
        )
        if done.returncode != 0:
            said = f"{done.stdout}{done.stderr}".strip()
            raise SandboxError(f"`{' '.join(map(str, argv))}` failed in the node: {said}")
        return done.stdout

    def failure(self) -> str:
        """Return why it cannot go on, empty while all is well."""
        code = self._child.exit_code() if self._child else None
        if self._child is None or code is None:
            return ""
        return f"The node ended with exit code {code}; its log {self._child.log_path} ends:\n{self._child.log_tail()}"

    def stop(self) -> None:
        """End everything in the node at once and remove what is left of it, logs excepted."""
        if self._child is not None:
            self._child.kill()
            self._child = None
        network.cut_cable(self.network)
        remove_traces(self.folder)


def switch_off(parent: psutil.Process, folder: Path) -> bool:
    """Kill process 1 of the node that another process runs, as a power cut would; return whether there was one."""
    leaders = [child for child in parent.children() if str(_INIT) in child.cmdline() and str(folder) in child.cmdline()]
    first = [process for leader in leaders for process in leader.children()]
    (folder / PREPARED).unlink(missing_ok=True)
    for process in first:
        process.kill()
    return bool(first)


def cgroup_name(folder: Path) -> str:
    """Return the name of the control groups of the node that lives in a folder."""
    return f"pyairtable-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]}"


def remove_traces(folder: Path) -> bool:
    """Remove what a node that has ended, or was killed, leaves: control groups and files. Return whether there was."""
    found = cgroups.remove(cgroup_name(folder))
    if folder.exists():
        shutil.rmtree(folder)
        found = True
    return found


def missing_commands(environment: Mapping[str, str]) -> Sequence[str]:
    """Return which commands of the system a node needs and this machine has not."""
    path = f"{environment.get('PATH', '')}:{SYSTEM_PATH}"
    return [name for name in COMMANDS if shutil.which(name, path=path) is None]


COMMANDS = ("ip", "unshare", "nsenter", "mount", "runc", "nft")
"""Of the packages that scripts/install-node-commands.sh installs."""
