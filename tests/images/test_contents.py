"""What is in the images and what is not."""

from __future__ import annotations

import importlib.util
import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from images.container import Unpacked

from pyairtable_devkit.images import archive as archives
from pyairtable_devkit.images import building, plan
from pyairtable_devkit.images.archive import Archive

NAMES = pytest.mark.parametrize("name", plan.NAMES)
SITE_PACKAGES = "opt/pyairtable/lib/python3.11/site-packages"
TOOLS = (
    "pip",
    "pip3",
    "cc",
    "gcc",
    "g++",
    "ld",
    "make",
    "git",
    "curl",
    "wget",
    "apt-get",
    "uv",
    "ruff",
    "mypy",
    "pytest",
)
NOT_SHIPPED = (
    "pip",
    "setuptools",
    "pytest",
    "mypy",
    "grpc_tools",
    "playwright",
    "hypothesis",
    "cyclonedx",
    "hatchling",
)


@NAMES
def test_no_tool_that_builds_or_fetches_is_there(unpacked: Mapping[str, Unpacked], name: str) -> None:
    rootfs = unpacked[name].rootfs
    programs = {path.name for folder in ("bin", "sbin", "local/bin") for path in (rootfs / "usr" / folder).glob("*")}
    programs |= {path.name for path in (rootfs / "opt/pyairtable/bin").iterdir()}
    assert "python3" in programs
    assert programs.isdisjoint(TOOLS)


@NAMES
def test_no_package_of_development_is_there(unpacked: Mapping[str, Unpacked], name: str) -> None:
    packages = {path.name for path in (unpacked[name].rootfs / SITE_PACKAGES).iterdir()}
    assert packages.isdisjoint(NOT_SHIPPED)
    assert not list((unpacked[name].rootfs / "usr/lib").glob("python3*/ensurepip"))


def test_an_image_has_its_own_distribution_alone(unpacked: Mapping[str, Unpacked]) -> None:
    ours = {
        name: {path.name for path in (image.rootfs / SITE_PACKAGES).glob("pyairtable_*") if path.suffix == ""}
        for name, image in unpacked.items()
    }
    assert ours == {
        "services": {"pyairtable_platform", "pyairtable_protos"},
        "operator": {"pyairtable_operator", "pyairtable_protos"},
        "devkit": {"pyairtable_devkit"},
    }


@NAMES
def test_all_code_is_compiled_in_a_form_that_needs_no_times(unpacked: Mapping[str, Unpacked], name: str) -> None:
    """PEP 552: flags 1 is a hash that nobody checks. What is not compiled is compiled anew at every start."""
    found = 0
    for source in (unpacked[name].rootfs / SITE_PACKAGES).rglob("*.py"):
        compiled = Path(importlib.util.cache_from_source(str(source), optimization=""))
        if not compiled.exists():
            with pytest.raises((SyntaxError, ValueError)):  # templates and code of other Pythons
                compile(source.read_bytes(), source.name, "exec", dont_inherit=True)
            continue
        found += 1
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", source
    assert found > 500


@NAMES
def test_the_account_of_the_image_can_change_nothing(unpacked: Mapping[str, Unpacked], name: str) -> None:
    image = unpacked[name]
    owned = [path for path in _files(image.rootfs) if path.lstat().st_uid == image.account[0]]
    writable = [
        path
        for path in _files(image.rootfs)
        if path.lstat().st_mode & stat.S_IWOTH and not path.is_symlink() and not path.lstat().st_mode & stat.S_ISVTX
    ]
    assert (owned, writable) == ([], [])


@NAMES
def test_the_parts_are_listed(built: Mapping[str, Archive], unpacked: Mapping[str, Unpacked], name: str) -> None:
    parts = json.loads(building.sbom_path(built[name].path.parent, name).read_text())
    assert (parts["bomFormat"], parts["metadata"]["component"]["name"]) == ("CycloneDX", f"pyairtable/{name}")
    listed = {part["name"].lower().replace("_", "-") for part in parts["components"]}
    installed = (unpacked[name].rootfs / SITE_PACKAGES).glob("*.dist-info/METADATA")
    packages = {_name(path) for path in installed}
    debian = (unpacked[name].rootfs / "var/lib/dpkg/status").read_text()
    wanted = packages | {line.removeprefix("Package: ") for line in debian.splitlines() if line.startswith("Package: ")}
    assert len(packages) > 20
    assert wanted <= listed
    inside = unpacked[name].rootfs / f"usr/share/sbom/pyairtable-{name}.cdx.json"
    assert json.loads(inside.read_text()) == parts
    assert parts.get("serialNumber") is None
    assert "timestamp" not in parts["metadata"]


@NAMES
def test_labels_say_what_it_is(built: Mapping[str, Archive], name: str) -> None:
    labels = built[name].config["config"]["Labels"]
    image = next(image for image in plan.images() if image.name == name)
    assert labels["org.opencontainers.image.version"] == image.version
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.revision"] == plan.state(image, {}).revision
    assert labels["org.opencontainers.image.base.name"] == plan.default_base()
    assert labels["org.opencontainers.image.created"] == plan.state(image, {}).created


def test_images_share_their_lowest_layers(built: Mapping[str, Archive]) -> None:
    shared = [archive.layers[:2] for archive in built.values()]
    assert shared[0] == shared[1] == shared[2]


def test_names_are_those_that_the_chart_asks_for(built: Mapping[str, Archive]) -> None:
    for image in plan.images():
        found = built[image.name]
        assert found.annotations[archives.CONTAINERD_ANNOTATION] == found.reference == image.reference
    listed = (built["services"].path.parent / "images.txt").read_text().splitlines()
    assert listed == [f"{found.reference} {found.digest}" for found in built.values()]


def _name(metadata: Path) -> str:
    line = next(line for line in metadata.read_text().splitlines() if line.startswith("Name: "))
    return line.removeprefix("Name: ").lower().replace("_", "-")


def _files(rootfs: Path) -> Iterator[Path]:
    """All that lies on disk; what is mounted is not part of an image."""
    outside = [rootfs / name for name in ("proc", "dev", "sys", "tmp", "run", "data")]
    return (path for path in rootfs.rglob("*") if not any(path.is_relative_to(folder) for folder in outside))
