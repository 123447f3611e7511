"""Image archives: a tar file with an OCI image layout (OCI image specification: image-layout) of one image.

The same image gives the same bytes: entries in a fixed order, no times, no owners.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

REFERENCE_ANNOTATION = "org.opencontainers.image.ref.name"
CONTAINERD_ANNOTATION = "io.containerd.image.name"
"""By this one `ctr images import` names an image whatever the other says."""

_MANIFEST_TYPES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class ArchiveError(RuntimeError):
    """An archive is not what it should be; the message says which and why."""


@dataclass(frozen=True)
class Archive:
    """What an archive says of its image."""

    path: Path
    digest: str
    """Of the manifest: what a registry and containerd name the image by."""
    annotations: Mapping[str, str]
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def reference(self) -> str:
        return self.annotations.get(REFERENCE_ANNOTATION, "")

    @property
    def layers(self) -> Sequence[str]:
        """Digests of the layers, the lowest first."""
        return [layer["digest"] for layer in self.manifest["layers"]]

    @property
    def compressed(self) -> int:
        """Bytes that a node fetches."""
        return sum(layer["size"] for layer in self.manifest["layers"])


def read(path: Path) -> Archive:
    """Return what an archive says; raises ArchiveError when it does not hold exactly one image."""
    try:
        with tarfile.open(path) as tar:
            return _read(tar, path)
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise ArchiveError(f"{path} is no image archive: {error}") from error


def rewrite(raw: Path, path: Path, annotations: Mapping[str, str]) -> Archive:
    """Write what an engine exported in the fixed form, with annotations beside the image; returns what it says now."""
    before = read(raw)
    with tarfile.open(raw) as source:
        blobs = [before.digest, before.manifest["config"]["digest"], *dict.fromkeys(before.layers)]
        size = source.getmember(_blob_name(before.digest)).size
        media_type = before.manifest.get("mediaType", _MANIFEST_TYPES[0])
        index = _index(media_type, before.digest, size, annotations)
        with _replacing(path) as target:
            _add(target, "oci-layout", _LAYOUT)
            _add(target, "index.json", index)
            for name in sorted(map(_blob_name, blobs)):
                _add_file(target, name, source.getmember(name).size, _opened(source, name))
    return read(path)


def write_base(layer: Path, config: Mapping[str, Any], reference: str, path: Path) -> None:
    """Write an image of one layer, an uncompressed tar file, for the engines to load.

    Beside the OCI layout it has the list that `docker load` of every age reads.
    """
    diff_id = _digest_of_file(layer)
    whole = {**config, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    config_blob = _json(whole)
    layers = [{"mediaType": _LAYER_TYPE, "digest": diff_id, "size": layer.stat().st_size}]
    described = {"mediaType": _CONFIG_TYPE, "digest": _digest(config_blob), "size": len(config_blob)}
    manifest = _json({"schemaVersion": 2, "mediaType": _MANIFEST_TYPES[0], "config": described, "layers": layers})
    index = _index(_MANIFEST_TYPES[0], _digest(manifest), len(manifest), {REFERENCE_ANNOTATION: reference})
    docker = [{"Config": _blob_name(_digest(config_blob)), "RepoTags": [reference], "Layers": [_blob_name(diff_id)]}]
    with _replacing(path) as tar:
        _add(tar, "oci-layout", _LAYOUT)
        _add(tar, "index.json", index)
        _add(tar, "manifest.json", _json(docker))
        _add(tar, _blob_name(_digest(config_blob)), config_blob)
        _add(tar, _blob_name(_digest(manifest)), manifest)
        with layer.open("rb") as file:
            _add_file(tar, _blob_name(diff_id), layer.stat().st_size, file)


@contextmanager
def opened_layers(archive: Archive) -> Iterator[Iterator[tarfile.TarFile]]:
    """Open the layers one after another, the lowest first."""
    with tarfile.open(archive.path) as tar:

        def layers() -> Iterator[tarfile.TarFile]:
            for digest in archive.layers:
                with tarfile.open(fileobj=_opened(tar, _blob_name(digest))) as layer:
                    yield layer

        yield layers()


def find_file(archive: Archive, name: str) -> bytes:
    """Return a file of the image (its path without the leading slash), as the highest layer that has it has it."""
    found: bytes | None = None
    with opened_layers(archive) as layers:
        for layer in layers:
            member = next((entry for entry in layer if entry.name.removeprefix("./") == name), None)
            if member is not None and (file := layer.extractfile(member)) is not None:
                found = file.read()
    if found is None:
        raise ArchiveError(f"{archive.path} has no file /{name}")
    return found


def _read(tar: tarfile.TarFile, path: Path) -> Archive:
    manifests = json.load(_opened(tar, "index.json"))["manifests"]
    if len(manifests) != 1 or manifests[0]["mediaType"] not in _MANIFEST_TYPES:
        raise ArchiveError(f"{path} holds {len(manifests)} entries and not one image of one platform")
    entry = manifests[0]
    manifest = json.load(_opened(tar, _blob_name(entry["digest"])))
    config = json.load(_opened(tar, _blob_name(manifest["config"]["digest"])))
    return Archive(path, entry["digest"], entry.get("annotations", {}), manifest, config)


def _index(media_type: str, digest: str, size: int, annotations: Mapping[str, str]) -> bytes:
    entry = {"mediaType": media_type, "digest": digest, "size": size, "annotations": dict(annotations)}
    return _json({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]})


@contextmanager
def _replacing(path: Path) -> Iterator[tarfile.TarFile]:
    """Write a tar file beside its place and rename it, so that what is there is always whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    with tarfile.open(draft, "w", format=tarfile.USTAR_FORMAT) as tar:
        yield tar
    draft.replace(path)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    _add_file(tar, name, len(content), io.BytesIO(content))


def _add_file(tar: tarfile.TarFile, name: str, size: int, file: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)  # as it is: mode 0644, owner 0, time 0
    entry.size = size
    tar.addfile(entry, file)


def _opened(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    file = tar.extractfile(name)
    if file is None:
        raise ArchiveError(f"{tar.name!r} has no file {name}")
    return file


def _blob_name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/", 1)


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
