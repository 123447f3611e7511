"""Builds the images: one archive each, its list of parts beside it, and images.txt with what they are called."""

import hashlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pyairtable_devkit.demo.show import Show
from pyairtable_devkit.images import archive as archives
from pyairtable_devkit.images import bases, engines, plan
from pyairtable_devkit.images.archive import Archive, ArchiveError
from pyairtable_devkit.images.engines import Engine, Order
from pyairtable_devkit.images.plan import Image, ImagesError
from pyairtable_devkit.processes import Child

SBOM_ANNOTATION = "dev.pyairtable.sbom.digest"
_INPUTS_ANNOTATION = "dev.pyairtable.inputs"
_POLL_SECONDS = 0.1
_CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_SYSTEM_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_SYSTEM_PIP_CONFIG = "/etc/pip.conf"


@dataclass(frozen=True)
class Choice:
    """What a user chose."""

    names: Sequence[str] = plan.NAMES
    engine: str = "auto"
    base: str = ""
    renew_base: bool = False
    cached: bool = True


def build(folder: Path, choice: Choice, environment: Mapping[str, str]) -> int:
    """Build what has changed since its archive was made; return the exit code."""
    show = Show(Console(emoji=False))  # an engine says what it says
    try:
        wanted = [image for image in plan.images() if image.name in choice.names]
        engine = engines.choose(choice.engine, environment)
        with show.busy("Looking for the base image ..."):
            base = plan.whole_name(choice.base) if choice.base else plan.default_base()
            found = bases.ensure(engine, base, environment, renew=choice.renew_base)
        show.line(
            f"{engine.name}, on {found.base}{' (bootstrapped from Debian packages)' if found.bootstrapped else ''}"
        )
        for image in wanted:
            _build_shown(folder, image, engine, found, choice, environment, show)
            write_list(folder)
    except (ImagesError, ArchiveError) as error:
        show.failed(str(error))
        return 1
    return 0


def list_images(folder: Path) -> int:
    """Print what images.txt says and how large they are; return 1 when one is missing."""
    show, missing = Show(Console()), 0
    for image in plan.images():
        path = archive_path(folder, image.name)
        if not path.exists():
            show.failed(f"{image.reference} is not built: make images")
            missing = 1
            continue
        show.line(_described(archives.read(path)))
    return missing


def archive_path(folder: Path, name: str) -> Path:
    """Return where the archive of an image is."""
    return folder / f"{name}.tar"


def sbom_path(folder: Path, name: str) -> Path:
    """Return where the list of an image's parts is (CycloneDX JSON)."""
    return folder / f"{name}.cdx.json"


def write_list(folder: Path) -> None:
    """Write images.txt, reference and digest of each archive that is there."""
    there = [path for image in plan.images() if (path := archive_path(folder, image.name)).exists()]
    lines = [f"{found.reference} {found.digest}\n" for found in map(archives.read, there)]
    (folder / "images.txt").write_text("".join(lines))


def secrets(environment: Mapping[str, str]) -> dict[str, Path]:
    """Return what the building stages need of this machine to reach its package index: certificates, pip's settings."""
    certificates = next((environment[name] for name in _CERTIFICATES if environment.get(name)), _SYSTEM_CERTIFICATES)
    settings = environment.get("PIP_CONFIG_FILE") or _SYSTEM_PIP_CONFIG
    wanted = {"ca-certificates": Path(certificates), "pip.conf": Path(settings)}
    return {name: path for name, path in wanted.items() if path.is_file()}


def _build_shown(
    folder: Path,
    image: Image,
    engine: Engine,
    found: bases.Bases,
    choice: Choice,
    environment: Mapping[str, str],
    show: Show,
) -> None:
    state = plan.state(image, environment)
    order = Order(image, state, found.base, found.build_base, plan.REPOSITORY, secrets(environment), choice.cached)
    inputs = fingerprint(order, engine, found)
    path, began = archive_path(folder, image.name), time.monotonic()
    if choice.cached and _is_current(path, folder, image, inputs):
        show.held(f"{_described(archives.read(path))}, unchanged")
        return
    with show.busy(f"Building {image.reference} ..."):
        built = _build(folder, order, engine, inputs)
    show.held(f"{_described(built)}, {time.monotonic() - began:.0f} s")


def fingerprint(order: Order, engine: Engine, found: bases.Bases) -> str:
    """Return a digest of all that an image depends on; equal ones need no build."""
    parts = [order.image, order.state, found, engine.name]
    return f"sha256:{hashlib.sha256(repr(parts).encode()).hexdigest()}"


def _is_current(path: Path, folder: Path, image: Image, inputs: str) -> bool:
    if not path.exists() or not sbom_path(folder, image.name).exists():
        return False
    return archives.read(path).annotations.get(_INPUTS_ANNOTATION) == inputs


def _build(folder: Path, order: Order, engine: Engine, inputs: str) -> Archive:
    name = order.image.name
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as draft:
        raw = Path(draft) / "raw.tar"
        _run(engine.build(order, raw), folder / f"{name}.log")
        parts = archives.find_file(archives.read(raw), f"usr/share/sbom/pyairtable-{name}.cdx.json")
        json.loads(parts)
        sbom_path(folder, name).write_bytes(parts)
        annotations = {
            archives.REFERENCE_ANNOTATION: order.image.reference,
            archives.CONTAINERD_ANNOTATION: order.image.reference,
            SBOM_ANNOTATION: f"sha256:{hashlib.sha256(parts).hexdigest()}",
            _INPUTS_ANNOTATION: inputs,
        }
        return archives.rewrite(raw, archive_path(folder, name), annotations)


def _run(commands: Sequence[Sequence[str]], log_path: Path) -> None:
    """Run an engine's commands; what they print is in the log."""
    log_path.unlink(missing_ok=True)
    for command in commands:
        child = Child.start(command[0], command, log_path=log_path)
        try:
            while (code := child.exit_code()) is None:
                time.sleep(_POLL_SECONDS)
        finally:
            child.stop()
        if code != 0:
            raise ImagesError(f"{' '.join(command[:3])} failed with {code}; {log_path} ends:\n{child.log_tail(30)}")


def _described(archive: Archive) -> str:
    return f"{archive.reference} {archive.digest[:19]} {archive.compressed / 1e6:.0f} MB"
