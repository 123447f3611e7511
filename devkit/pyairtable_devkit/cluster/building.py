"""Builds the programs of a control plane from the Go modules in tools/, once for each version, into the cache.

Two processes that build at the same time wait for each other, and what is in the cache is always whole: a program
is linked beside its place and renamed.
"""

import fcntl
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyairtable_devkit.cluster.programs import (
    PROGRAMS,
    TOOLS,
    Program,
    Programs,
    ProgramsError,
    cache_folder,
    find,
    find_programs,
    pinned_version,
)
from pyairtable_devkit.processes import Child

_POLL_SECONDS = 0.2
_KUBERNETES_VERSION = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True)
class Progress:
    """How far the build of a program is; packages is how many have been compiled so far."""

    program: Program
    version: str
    packages: int = 0
    seconds: float = 0.0
    done: bool = False


Report = Callable[[Progress], None]


def build_missing(
    environment: Mapping[str, str], report: Report, programs: Sequence[Program] = PROGRAMS, tools: Path = TOOLS
) -> Programs:
    """Build which of the programs are not found anywhere and return all of them; raises ProgramsError."""
    for program in programs:
        if find(program, environment, tools) is None:
            build(program, environment, report, tools)
    return find_programs(environment, programs, tools)


def build(program: Program, environment: Mapping[str, str], report: Report, tools: Path = TOOLS) -> Path:
    """Build a program into the cache, unless another process has meanwhile, and return its path."""
    go = _go(program, environment, tools)
    folder = cache_folder(program, environment, tools)
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder / ".lock"):
        built = folder / program.name
        if not built.exists():
            draft = folder / f".{program.name}.new"
            _compile(program, [go, *go_arguments(program, draft, tools)], environment, report, tools)
            draft.replace(built)
    return built


def go_arguments(program: Program, output: Path, tools: Path = TOOLS) -> list[str]:
    """Return what go is told: only the pinned modules, no paths of this machine, the version stamped."""
    version = pinned_version(program, tools)
    flags = [
        "-v",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        f"-ldflags={' '.join(linker_flags(program, version))}",
    ]
    return ["-C", str(tools / program.tool), "build", *flags, "-o", str(output), program.package]


def linker_flags(program: Program, version: str) -> list[str]:
    """Return the linker's flags: no debugging data, and the version where the program looks for it.

    A Kubernetes without it reports v0.0.0, which clients and charts refuse; etcd has its own in the source.
    """
    stamps: dict[str, str] = {}
    if program.tool == "kubernetes":
        major, minor, _ = version.removeprefix("v").split(".", 2)
        values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
        stamps = {f"{package}.{name}": value for package in _KUBERNETES_VERSION for name, value in values.items()}
    elif program.tool == "containerd":
        stamps = {"github.com/containerd/containerd/v2/version.Version": version}
    elif program.tool == "helm":
        stamps = {"helm.sh/helm/v4/internal/version.version": version}
    return ["-s", "-w", *(f"-X {name}={value}" for name, value in stamps.items())]


def _compile(
    program: Program, argv: Sequence[str], environment: Mapping[str, str], report: Report, tools: Path
) -> None:
    """Run go, telling how many packages it has compiled, until it ends."""
    version, began = pinned_version(program, tools), time.monotonic()
    log_path = cache_folder(program, environment, tools) / f"{program.name}.build.log"
    log_path.unlink(missing_ok=True)
    report(Progress(program, version))
    settings = {**environment, "CGO_ENABLED": "0", "GOWORK": "off"}
    child = Child.start(f"go build {program.name}", argv, log_path=log_path, env=settings)
    try:
        while (code := child.exit_code()) is None:
            time.sleep(_POLL_SECONDS)
            report(Progress(program, version, _compiled(log_path), time.monotonic() - began))
    finally:
        child.kill()
    if code != 0:
        raise ProgramsError(f"{program.name} could not be built; {log_path} ends:\n{child.log_tail()}")
    report(Progress(program, version, _compiled(log_path), time.monotonic() - began, done=True))
    log_path.unlink()


def _compiled(log_path: Path) -> int:
    """Return how many packages go has named; it also writes of downloads."""
    return sum(not line.startswith(b"go: ") for line in log_path.read_bytes().splitlines())


def _go(program: Program, environment: Mapping[str, str], tools: Path) -> str:
    """Return the go command, once it says that it can build the module."""
    manifest = tools / program.tool / "go.mod"
    found = re.search(r"^go (\S+)", manifest.read_text(), re.MULTILINE)
    needed = found[1] if found else "of a current version"
    go = shutil.which("go", path=environment.get("PATH", ""))
    if go is None:
        raise ProgramsError(
            f"{program.name} is not there, and to build it needs Go {needed} or newer, which is not on PATH: install "
            "it (https://go.dev/dl), or have KUBEBUILDER_ASSETS name a folder with the programs"
        )
    # Inside the module, so that a Go that may fetch a newer toolchain does, and one that may not says so.
    asked = subprocess.run(
        [go, "env", "GOVERSION"],
        cwd=manifest.parent,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    version = asked.stdout.strip().removeprefix("go")
    if asked.returncode != 0 or _numbers(version) < _numbers(needed):
        said = asked.stderr.strip() or f"{go} is {version or 'of an unknown version'}"
        raise ProgramsError(
            f"To build {program.name} needs Go {needed} or newer ({said}): install it (https://go.dev/dl)"
        )
    return go


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a file for ourselves; the kernel lets go of it when we die."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
