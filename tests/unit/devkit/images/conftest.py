"""A repository with the sources of an image, and image archives as an engine would write them."""

import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from pyairtable_devkit.images.plan import Image

Commit = Callable[[str, int], str]

IMAGE = Image("devkit", "docker.io/pyairtable/devkit:1.2.3", "1.2.3")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The files that the devkit's image is made from, and one that is not."""
    root = tmp_path / "repository"
    for name in (
        ".dockerignore",
        "scripts/image/build.sh",
        "devkit/Dockerfile",
        "devkit/pyproject.toml",
        "devkit/requirements.txt",
        "devkit/pyairtable_devkit/cli.py",
        "README.md",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    return root


@pytest.fixture
def commit(repository: Path) -> Commit:
    """Make the folder a Git repository; returns what commits all files at a time and tells the revision."""

    def git(*arguments: str, time: int = 0) -> str:
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(repository),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
            **{f"GIT_{who}_DATE": f"{time} +0000" for who in ("AUTHOR", "COMMITTER")},
        }
        return subprocess.run(
            ["git", *arguments], cwd=repository, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    def all_files(message: str, time: int) -> str:
        git("add", "--all")
        git("commit", "--quiet", "--message", message, time=time)
        return git("rev-parse", "HEAD")

    git("init", "--quiet")
    return all_files


def layer(files: Mapping[str, str]) -> bytes:
    """A layer with these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def exported(path: Path, layers: list[bytes], *, backwards: bool = False, time: int = 0, copies: int = 1) -> Path:
    """An archive as engines export them: entries in some order, with times."""
    config = json.dumps({"os": "linux", "config": {"User": "10001:10001"}}).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": digest(config), "size": len(config)},
            "layers": [{"digest": digest(blob), "size": len(blob)} for blob in layers],
        }
    ).encode()
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest(manifest),
        "size": len(manifest),
    }
    files = {f"blobs/sha256/{digest(blob)[7:]}": blob for blob in (config, manifest, *layers)}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry] * copies}).encode()
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    with tarfile.open(path, "w") as tar:
        for name in sorted(files, reverse=backwards):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(files[name]), time
            tar.addfile(member, io.BytesIO(files[name]))
    return path


def digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"
