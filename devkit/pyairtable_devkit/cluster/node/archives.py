"""Images as OCI archives: written around one static program, and their names read.

The layout is that of github.com/opencontainers/image-spec (image-layout.md): a tar with oci-layout, index.json and
blobs named by their digests.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_TYPE = "application/vnd.oci.image"
_NOBODY = 65532


def write_archive(archive: Path, name: str, program: Path, *, user: int = _NOBODY) -> Path:
    """Write an image that holds and starts one static program, the same bytes every time; return its path."""
    layer = _layer(program)
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": f"{user}:{user}", "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    blobs = {_digest(blob): blob for blob in (layer, _json(config))}
    layers = [_described(layer, "layer.v1.tar")]  # not packed: it is unpacked again at once
    manifest = _json({"schemaVersion": 2, "config": _described(_json(config), "config.v1+json"), "layers": layers})
    blobs[_digest(manifest)] = manifest
    entry = {**_described(manifest, "manifest.v1+json"), "annotations": dict.fromkeys(_NAME_ANNOTATIONS[:1], name)}
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [entry]}),
        **{f"blobs/sha256/{digest.removeprefix('sha256:')}": blob for digest, blob in blobs.items()},
    }
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(_tar((path, content, 0o644) for path, content in files.items()))
    return archive


def names_in(archive: Path) -> Sequence[str]:
    """Return the names of the images of an OCI archive; raises ValueError for another file."""
    try:
        with tarfile.open(archive) as tar:
            index = tar.extractfile("index.json")
            manifests = json.loads(index.read())["manifests"] if index else []
    except (tarfile.TarError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{archive} is not an OCI archive (`make images` writes them)") from error
    annotations: list[dict[str, str]] = [manifest.get("annotations", {}) for manifest in manifests]
    return [next((notes[key] for key in _NAME_ANNOTATIONS if key in notes), "") for notes in annotations]


def full_name(name: str) -> str:
    """Return an image's name as Kubernetes looks it up: what names no registry is of the default one."""
    first, slash, rest = name.partition("/")
    if first == "localhost":  # podman's word for an image that was built, and pulled from nowhere
        return full_name(rest)
    if slash and ("." in first or ":" in first):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _layer(program: Path) -> bytes:
    return _tar([(program.name, program.read_bytes(), 0o755)])


def _tar(files: Iterator[tuple[str, bytes, int]] | Sequence[tuple[str, bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, content, mode in files:
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _described(blob: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": f"{_TYPE}.{kind}", "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
