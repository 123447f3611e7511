"""Which images there are, what each is called, and what it is made from.

Names and tags are those that the chart asks for, read from its values. What an image says of itself (revision, date)
comes from the last commit that changed something it is made from: other commits leave it as it is, bit for bit. Files
in it have no date at all, so that a commit changes the layers whose contents it changes, and no other.
"""

import hashlib
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
"""The checkout; the Dockerfiles are part of it and not of the distribution."""

NAMES = ("services", "operator", "devkit")

EPOCH = 315532800
"""Time of every file in an image: 1980, the earliest that a wheel can tell."""

_SHORT_NAMES_MEAN = "docker.io"  # to Kubernetes and to every engine, when a name begins with no host
_COMMON = (".dockerignore", "scripts/image")
_PACKAGES = {
    "services": ("protos/pyproject.toml", "protos/pyairtable_protos", "services/pyairtable_platform"),
    "operator": ("protos/pyproject.toml", "protos/pyairtable_protos", "operator/pyairtable_operator"),
    "devkit": ("devkit/pyairtable_devkit",),
}


class ImagesError(RuntimeError):
    """Images cannot be built as asked; the message says why, and what to do."""


@dataclass(frozen=True)
class Image:
    """An image to build."""

    name: str
    reference: str
    """With registry and tag, as a node looks for it."""
    version: str

    @property
    def dockerfile(self) -> str:
        return f"{self.name}/Dockerfile"

    @property
    def sources(self) -> Sequence[str]:
        """Files and folders of the repository that it is made from."""
        own = (self.dockerfile, f"{self.name}/pyproject.toml", f"{self.name}/requirements.txt")
        return (*_COMMON, *own, *_PACKAGES[self.name])


@dataclass(frozen=True)
class State:
    """What the sources of an image are now."""

    revision: str
    """Commit that changed them last; with "-modified" when there are changes since."""
    created: str
    """Its time, as RFC 3339."""
    digest: str
    """Of their names and contents."""


def images(repository: Path = REPOSITORY) -> Sequence[Image]:
    """Return all images; raises ImagesError outside of a checkout."""
    chart = repository / "charts" / "pyairtable"
    if not chart.exists():
        raise ImagesError(f"There is no {chart}: images are built from a checkout of the repository")
    values = yaml.safe_load((chart / "values.yaml").read_text())["images"]
    version = str(yaml.safe_load((chart / "Chart.yaml").read_text())["appVersion"])
    return [Image(name, reference(values[name], version), version) for name in NAMES]


def reference(value: Mapping[str, str], version: str) -> str:
    """Return the whole name of an image from a block of the chart's `images`."""
    name = f"{value['registry'].rstrip('/') or _SHORT_NAMES_MEAN}/{value['repository']}"
    return f"{name}:{value['tag'] or version}"


def default_base(repository: Path = REPOSITORY) -> str:
    """Return the base image that the Dockerfiles name."""
    found = re.search(r"^ARG BASE=(\S+)", (repository / NAMES[0] / "Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise ImagesError(f"{NAMES[0]}/Dockerfile names no base image: it needs a line ARG BASE=")
    return whole_name(found[1])


def whole_name(name: str) -> str:
    """Return the name of a base image with registry, as engines understand a short one."""
    first, *rest = name.split("/")
    if not rest:
        return f"{_SHORT_NAMES_MEAN}/library/{name}"
    return name if "." in first or ":" in first or first == "localhost" else f"{_SHORT_NAMES_MEAN}/{name}"


def state(image: Image, environment: Mapping[str, str], repository: Path = REPOSITORY) -> State:
    """Look at the sources of an image; without Git history the environment has to name SOURCE_DATE_EPOCH."""
    revision, time = _last_commit(image, repository)
    if given := environment.get("SOURCE_DATE_EPOCH", time):
        created = datetime.fromtimestamp(int(given), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return State(revision, created, _digest(image, repository))
    raise ImagesError("Git knows no commit of the images' sources: name the time for them, SOURCE_DATE_EPOCH=seconds")


def _last_commit(image: Image, repository: Path) -> tuple[str, str]:
    """Return revision and time of the last change; an empty time when Git has none."""
    said = _git(repository, "log", "-1", "--format=%H %ct", "--", *image.sources)
    if not said:
        return "unknown", ""
    revision, time = said.split()
    changed = _git(repository, "status", "--porcelain", "--", *image.sources)
    return (f"{revision}-modified" if changed else revision), time


def _git(repository: Path, *arguments: str) -> str:
    """Ask Git; empty where there is no Git or no history."""
    try:
        done = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _digest(image: Image, repository: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(_files(image, repository)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{content} {path.relative_to(repository)}\n".encode())
    return f"sha256:{total.hexdigest()}"


def _files(image: Image, repository: Path) -> Iterator[Path]:
    for source in image.sources:
        path = repository / source
        inside = path.rglob("*") if path.is_dir() else [path]
        yield from (file for file in inside if file.is_file() and "__pycache__" not in file.parts)
