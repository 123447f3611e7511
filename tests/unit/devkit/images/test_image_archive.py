"""Image archives: read, brought into the one form, searched for a file; and the base image that is written."""

import json
import tarfile
from pathlib import Path

import pytest
from unit.devkit.images.conftest import digest, exported, layer

from pyairtable_devkit.images import archive as archives
from pyairtable_devkit.images.archive import ArchiveError


def test_an_archive_says_what_is_in_it(tmp_path: Path) -> None:
    layers = [layer({"etc/passwd": "root"}), layer({"opt/app": "code"})]
    found = archives.read(exported(tmp_path / "raw.tar", layers))
    assert list(found.layers) == [digest(blob) for blob in layers]
    assert found.compressed == sum(map(len, layers))
    assert found.config["config"] == {"User": "10001:10001"}
    assert (found.reference, found.digest[:7]) == ("", "sha256:")


def test_the_order_and_times_of_an_engine_change_nothing(tmp_path: Path) -> None:
    layers = [layer({"etc/passwd": "root"}), layer({"opt/app": "code"})]
    annotations = {archives.REFERENCE_ANNOTATION: "registry.example/a/b:1"}
    one = archives.rewrite(exported(tmp_path / "1", layers, time=1), tmp_path / "one.tar", annotations)
    two = archives.rewrite(exported(tmp_path / "2", layers, time=2, backwards=True), tmp_path / "two.tar", annotations)
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.reference == "registry.example/a/b:1"
    assert one.digest == archives.read(tmp_path / "1").digest


def test_a_rewritten_archive_is_a_whole_image_layout(tmp_path: Path) -> None:
    raw = exported(tmp_path / "raw.tar", [layer({"a": "1"})])
    found = archives.rewrite(raw, tmp_path / "done.tar", {})
    with tarfile.open(found.path) as tar:
        blobs = {
            entry.name: file.read()
            for entry in tar
            if entry.name.startswith("blobs/") and (file := tar.extractfile(entry)) is not None
        }
        assert {"oci-layout", "index.json"} <= set(tar.getnames())
    assert all(name == f"blobs/sha256/{digest(blob)[7:]}" for name, blob in blobs.items())
    assert len(blobs) == 3


def test_a_failed_rewrite_leaves_the_archive_that_was_there(tmp_path: Path) -> None:
    good = archives.rewrite(exported(tmp_path / "raw", [layer({"a": "1"})]), tmp_path / "done.tar", {})
    (tmp_path / "broken").write_bytes(b"no archive")
    with pytest.raises(ArchiveError, match="broken is no image archive"):
        archives.rewrite(tmp_path / "broken", good.path, {})
    assert archives.read(good.path) == good


def test_a_file_is_the_one_of_the_highest_layer(tmp_path: Path) -> None:
    layers = [layer({"usr/share/it": "old"}), layer({"./usr/share/it": "new"}), layer({"other": "x"})]
    found = archives.read(exported(tmp_path / "raw.tar", layers))
    assert archives.find_file(found, "usr/share/it") == b"new"
    with pytest.raises(ArchiveError, match="no file /usr/share/nothing"):
        archives.find_file(found, "usr/share/nothing")


def test_more_than_one_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="2 entries and not one image"):
        archives.read(exported(tmp_path / "raw.tar", [layer({"a": "1"})], copies=2))


def test_a_base_is_an_image_for_engines_of_every_age(tmp_path: Path) -> None:
    rootfs = tmp_path / "rootfs.tar"
    rootfs.write_bytes(b"the layer")
    for name in ("one.tar", "two.tar"):
        archives.write_base(rootfs, {"os": "linux"}, "docker.io/library/python:3.11", tmp_path / name)
    found = archives.read(tmp_path / "one.tar")
    assert found.reference == "docker.io/library/python:3.11"
    assert found.config["rootfs"] == {"type": "layers", "diff_ids": [digest(b"the layer")]}
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        listed = tar.extractfile("manifest.json")
        assert listed is not None
        (entry,) = json.load(listed)
        assert {entry["Config"], *entry["Layers"]} <= set(tar.getnames())
    assert entry["RepoTags"] == ["docker.io/library/python:3.11"]
