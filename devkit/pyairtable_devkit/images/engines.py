"""The container engines: what docker, podman and buildah are told. Pure but for `ask` and `choose`."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyairtable_devkit.images.plan import EPOCH, Image, ImagesError, State

NAMES = ("docker", "podman", "buildah")
_ANSWER_SECONDS = 30


@dataclass(frozen=True)
class Engine:
    """A container engine of this machine."""

    name: str
    path: str

    def info(self) -> list[str]:
        """Return the command that succeeds when the engine can be used."""
        return [self.path, "info"]

    def look_up(self, reference: str, field: str) -> list[str]:
        """Return the command that prints a field (id or a label's name) of a stored image, and fails without one."""
        identity, labels = (
            (".FromImageID", ".OCIv1.Config.Labels") if self.name == "buildah" else (".Id", ".Config.Labels")
        )
        what = identity if field == "id" else f'index {labels} "{field}"'
        inspect = ["inspect", "--type", "image"] if self.name == "buildah" else ["image", "inspect"]
        return [self.path, *inspect, "--format", "{{" + what + "}}", reference]

    def pull(self, reference: str) -> list[str]:
        """Return the command that asks the registry of an image for it, also when there is one in the store."""
        always = ["--policy", "always"] if self.name == "buildah" else []
        return [self.path, "pull", "--quiet", *always, reference]

    def load(self, archive: Path) -> list[str]:
        """Return the command that takes an archive of write_base, with the name it has."""
        if self.name == "docker":
            return [self.path, "load", "--quiet", "--input", str(archive)]
        return [self.path, "pull", "--quiet", f"oci-archive:{archive}"]

    def build(self, order: "Order", output: Path) -> list[list[str]]:
        """Return the commands that build an image and export it as an OCI archive."""
        return _docker_build(self.path, order, output) if self.name == "docker" else _build(self.path, order, output)


@dataclass(frozen=True)
class Order:
    """What is to be built, from what."""

    image: Image
    state: State
    base: str
    build_base: str
    repository: Path
    secrets: Mapping[str, Path]
    """Files of this machine for the building stages alone; they are not part of an image."""
    cached: bool = True

    @property
    def arguments(self) -> list[str]:
        """What all engines understand."""
        values = {
            "BASE": self.base,
            "BUILD_BASE": self.build_base,
            "VERSION": self.image.version,
            "REVISION": self.state.revision,
            "CREATED": self.state.created,
            "SOURCE_DATE_EPOCH": str(EPOCH),
        }
        return [
            *(part for name, value in values.items() for part in ("--build-arg", f"{name}={value}")),
            *(part for name, path in self.secrets.items() for part in ("--secret", f"id={name},src={path}")),
            *([] if self.cached else ["--no-cache"]),
            *("--file", str(self.repository / self.image.dockerfile)),
        ]


def choose(wanted: str, environment: Mapping[str, str]) -> Engine:
    """Return the engine that was asked for, or the first that answers; raises ImagesError when none does."""
    names = NAMES if wanted == "auto" else (wanted,)
    for name in names:
        path = shutil.which(name, path=environment.get("PATH", ""))
        if path and ask(Engine(name, path).info()) is not None:
            return Engine(name, path)
    raise ImagesError(
        f"None of these container engines is there and answers: {', '.join(names)}. Start or install one; on Debian "
        "scripts/install-image-tools.sh installs buildah"
    )


def ask(command: Sequence[str], timeout: float = _ANSWER_SECONDS) -> str | None:
    """Return what a command prints, None when it fails or does not end in time."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _build(path: str, order: Order, output: Path) -> list[list[str]]:
    """Podman and buildah: one program under two names."""
    reference = order.image.reference
    # chroot and the machine's own network need no namespaces, so that it also works inside of a container.
    where = ["--isolation", "chroot", "--network", "host"]
    form = ["--format", "oci", "--layers", "--pull=never", "--timestamp", str(EPOCH), "--identity-label=false"]
    build = [path, "build", *where, *form, *order.arguments, "--tag", reference, str(order.repository)]
    return [build, [path, "push", "--quiet", reference, f"oci-archive:{output}:{reference}"]]


def _docker_build(path: str, order: Order, output: Path) -> list[list[str]]:
    """BuildKit rewrites times by SOURCE_DATE_EPOCH while it exports; its statements of provenance hold dates."""
    export = f"type=oci,dest={output},name={order.image.reference},rewrite-timestamp=true"
    form = ["--provenance=false", "--sbom=false", "--output", export]
    return [[path, "buildx", "build", *form, *order.arguments, str(order.repository)]]
