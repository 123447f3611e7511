"""Images around one program, as the image specification says."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from pyairtable_devkit.cluster.node.archives import full_name, names_in, write_archive


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "hello"
    path.write_bytes(b"\x7fELF not really")
    return path


def test_every_blob_is_named_by_its_digest_and_leads_to_the_program(tmp_path: Path, program: Path) -> None:
    with tarfile.open(write_archive(tmp_path / "hello.tar", "example.org/hello:1", program)) as tar:
        files = {entry.name: entry_file.read() for entry in tar if (entry_file := tar.extractfile(entry))}
    blobs = {name.removeprefix("blobs/sha256/"): blob for name, blob in files.items() if name.startswith("blobs/")}
    assert all(hashlib.sha256(blob).hexdigest() == digest for digest, blob in blobs.items())
    (entry,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blobs[entry["digest"].removeprefix("sha256:")])
    config = json.loads(blobs[manifest["config"]["digest"].removeprefix("sha256:")])
    assert config["config"]["Entrypoint"] == ["/hello"]
    assert config["config"]["User"] != "0:0"
    layer = blobs[manifest["layers"][0]["digest"].removeprefix("sha256:")]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert [(entry.name, entry.mode) for entry in tar] == [("hello", 0o755)]


def test_the_same_program_makes_the_same_bytes(tmp_path: Path, program: Path) -> None:
    first, second = (write_archive(tmp_path / f"{number}.tar", "a/b:1", program).read_bytes() for number in (1, 2))
    assert first == second


def test_names_are_read_back(tmp_path: Path, program: Path) -> None:
    assert names_in(write_archive(tmp_path / "hello.tar", "example.org/hello:1", program)) == ["example.org/hello:1"]


def test_another_file_is_refused_by_name(program: Path) -> None:
    with pytest.raises(ValueError, match="hello is not an OCI archive"):
        names_in(program)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("pyairtable/services:1", "docker.io/pyairtable/services:1"),
        ("localhost/pyairtable/services:1", "docker.io/pyairtable/services:1"),
        ("example.org/services:1", "example.org/services:1"),
        ("example:5000/services:1", "example:5000/services:1"),
        ("services:1", "docker.io/library/services:1"),
    ],
)
def test_full_names_are_those_that_kubernetes_asks_for(name: str, full: str) -> None:
    assert full_name(name) == full
