"""The programs of a control plane and its clients: which, in what version, and where they are found.

They are looked for in KUBEBUILDER_ASSETS, in the cache where building.py puts them, and on PATH. The versions are
those of the Go modules in tools/, the one place where they are pinned.
"""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[3] / "tools"
"""The Go modules that pin and build the programs; part of the repository, not of the distribution."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Program:
    """A program, the module in tools/ that pins it, and how it is asked for its version."""

    name: str
    tool: str
    """Folder in tools/."""
    module: str
    """Go module whose version is the program's."""
    package: str
    version_command: Sequence[str] = ("--version",)
    """Empty for what cannot be asked, and is therefore not looked for on PATH."""


_KUBERNETES = "k8s.io/kubernetes"
PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
    Program("kube-apiserver", "kubernetes", _KUBERNETES, f"{_KUBERNETES}/cmd/kube-apiserver"),
    Program("kube-controller-manager", "kubernetes", _KUBERNETES, f"{_KUBERNETES}/cmd/kube-controller-manager"),
    Program("kubectl", "kubernetes", _KUBERNETES, f"{_KUBERNETES}/cmd/kubectl", ("version", "--client")),
    Program("helm", "helm", "helm.sh/helm/v4", "helm.sh/helm/v4/cmd/helm", ("version", "--short")),
)

_CONTAINERD, _CNI = "github.com/containerd/containerd/v2", "github.com/containernetworking/plugins"
NODE_PROGRAMS = (
    Program("kube-scheduler", "kubernetes", _KUBERNETES, f"{_KUBERNETES}/cmd/kube-scheduler"),
    Program("kubelet", "kubernetes", _KUBERNETES, f"{_KUBERNETES}/cmd/kubelet"),
    Program("kube-proxy", "kubernetes", _KUBERNETES, f"{_KUBERNETES}/cmd/kube-proxy"),
    Program("containerd", "containerd", _CONTAINERD, f"{_CONTAINERD}/cmd/containerd", ()),
    Program("containerd-shim-runc-v2", "containerd", _CONTAINERD, f"{_CONTAINERD}/cmd/containerd-shim-runc-v2", ()),
    Program("ctr", "containerd", _CONTAINERD, f"{_CONTAINERD}/cmd/ctr", ()),
    Program("host-local", "cni", _CNI, f"{_CNI}/plugins/ipam/host-local", ()),
    Program("loopback", "cni", _CNI, f"{_CNI}/plugins/main/loopback", ()),
    Program("ptp", "cni", _CNI, f"{_CNI}/plugins/main/ptp", ()),
    Program("portmap", "cni", _CNI, f"{_CNI}/plugins/meta/portmap", ()),
    Program("coredns", "coredns", "github.com/coredns/coredns", "github.com/coredns/coredns", ()),
    Program("pause", "pause", "pyairtable.dev/tools/pause", "pyairtable.dev/tools/pause", ()),
)
"""What a node needs beside those of the control plane."""

CLIENTS = tuple(program for program in PROGRAMS if program.name in ("kubectl", "helm"))
"""Those that are needed although somebody else runs the control plane."""


class ProgramsError(RuntimeError):
    """Programs of the cluster are missing or do not fit; the message says which, and what to do."""


class MissingProgramsError(ProgramsError):
    """Programs were not found anywhere."""

    def __init__(self, missing: Sequence[Program]) -> None:
        names = ", ".join(program.name for program in missing)
        super().__init__(
            f"Not found in KUBEBUILDER_ASSETS, the cache or PATH: {names}. "
            "`make cluster-programs` builds them (needs Go; about ten minutes the first time)"
        )
        self.missing = tuple(missing)


@dataclass(frozen=True)
class Programs:
    """Where each program is, by name."""

    paths: Mapping[str, Path]

    def __getitem__(self, name: str) -> Path:
        return self.paths[name]

    @property
    def search_path(self) -> str:
        """The folders of the programs, for the front of a PATH."""
        return os.pathsep.join(dict.fromkeys(str(path.parent) for path in self.paths.values()))


def find_programs(
    environment: Mapping[str, str], programs: Sequence[Program] = PROGRAMS, tools: Path = TOOLS
) -> Programs:
    """Return the programs, or raise MissingProgramsError (ProgramsError when KUBEBUILDER_ASSETS holds a wrong one)."""
    found = {program: find(program, environment, tools) for program in programs}
    if missing := [program for program, path in found.items() if path is None]:
        raise MissingProgramsError(missing)
    return Programs({program.name: path for program, path in found.items() if path is not None})


def find(program: Program, environment: Mapping[str, str], tools: Path = TOOLS) -> Path | None:
    """Return where a program is, None when nowhere in a version that fits."""
    wanted = pinned_version(program, tools)
    if assets := environment.get("KUBEBUILDER_ASSETS"):
        given = Path(assets) / program.name
        if given.exists():
            _require_fit(program, given, wanted)
            return given
    cached = cache_folder(program, environment, tools) / program.name
    if cached.exists():
        return cached
    on_path = shutil.which(program.name, path=environment.get("PATH", "")) if program.version_command else None
    if on_path and fits(_version_of(program, Path(on_path)), wanted):
        return Path(on_path)
    return None


def cache_folder(program: Program, environment: Mapping[str, str], tools: Path = TOOLS) -> Path:
    """Return the folder, of one version for one kind of machine, into which a program is built."""
    home = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or Path.home()) / ".cache")
    machine = platform.machine()
    kind = f"{platform.system().lower()}-{_ARCHITECTURES.get(machine, machine)}"
    version = pinned_version(program, tools)
    return Path(home) / "pyairtable" / "kubernetes" / f"{program.tool}-{version}-{kind}"


def pinned_version(program: Program, tools: Path = TOOLS) -> str:
    """Return the version (v1.2.3) that tools/ pins; raises ProgramsError when there is no such folder."""
    manifest = tools / program.tool / "go.mod"
    if not manifest.exists():
        raise ProgramsError(f"There is no {manifest}: the cluster's programs come with a checkout of the repository")
    # A program of our own has its version behind the name of its module.
    line = rf"^\s*(?:require |module )?{re.escape(program.module)} (?:// )?(v\S+)"
    found = re.search(line, manifest.read_text(), re.MULTILINE)
    if found is None:
        raise ProgramsError(f"{manifest} does not require {program.module}")
    return found[1]


def fits(version: str, wanted: str) -> bool:
    """Return whether major and minor are the wanted ones: the parts of a cluster must not be further apart."""
    return _minor(version) is not None and _minor(version) == _minor(wanted)


def _require_fit(program: Program, path: Path, wanted: str) -> None:
    version = _version_of(program, path)
    if not fits(version, wanted):
        raise ProgramsError(
            f"KUBEBUILDER_ASSETS holds {program.name} {version or 'of an unknown version'}, and {wanted} is needed: "
            "unset it, or have it name a folder with that version"
        )


def _version_of(program: Program, path: Path) -> str:
    """Ask a program for its version; empty when it does not say."""
    argv = [str(path), *program.version_command]
    try:
        said = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"v?\d+\.\d+(\.\d+)?", said)
    return found[0] if found else ""


def _minor(version: str) -> tuple[str, str] | None:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (found[1], found[2]) if found else None
