"""The list of an image's parts: what scripts/image/sbom.py adds to that of the Python packages."""

import importlib.util
import platform
from types import ModuleType
from typing import Any

import pytest

from pyairtable_devkit.images.plan import REPOSITORY

STATUS = """Package: libssl3
Status: install ok installed
Source: openssl (3.0.17-1)
Maintainer: Debian OpenSSL Team <team@example.org>
Architecture: amd64
Version: 3.0.17-1~deb12u2
Description: Secure Sockets Layer toolkit
 Package: not a field, but a line of the description

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: tar
Status: install ok installed
Architecture: amd64
Version: 1:1.34+dfsg-1
"""


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    spec = importlib.util.spec_from_file_location("image_sbom", REPOSITORY / "scripts/image/sbom.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _python_packages() -> dict[str, Any]:
    rich: dict[str, Any] = {"type": "library", "bom-ref": "rich==14", "name": "rich", "version": "14"}
    rich["externalReferences"] = [
        {"type": "website", "url": "https://rich.example"},
        {"type": "vcs", "url": "file:///x"},
    ]
    metadata = {"tools": {}, "timestamp": "2026-01-02T03:04:05Z"}
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": metadata, "components": [rich]}


def test_python_debian_and_the_interpreter_are_listed(sbom: ModuleType) -> None:
    listed = sbom.complete(_python_packages(), "services", "0.1.0", STATUS)
    found = {part["name"]: part["version"] for part in listed["components"]}
    assert found == {
        "rich": "14",
        "cpython": platform.python_version(),
        "libssl3": "3.0.17-1~deb12u2",
        "tar": "1:1.34+dfsg-1",
    }
    assert listed["metadata"]["component"]["name"] == "pyairtable/services"
    assert listed["metadata"]["tools"] == {}


def test_a_debian_package_has_its_address_and_its_source(sbom: ModuleType) -> None:
    ssl, tar = (sbom.debian_component(fields) for fields in sbom.installed(STATUS))
    assert ssl["purl"] == "pkg:deb/debian/libssl3@3.0.17-1~deb12u2?arch=amd64&upstream=openssl"
    assert tar["purl"] == "pkg:deb/debian/tar@1%3A1.34%2Bdfsg-1?arch=amd64"


def test_nothing_of_the_build_is_told(sbom: ModuleType) -> None:
    listed = sbom.complete(_python_packages(), "x", "1", STATUS)
    assert "timestamp" not in listed["metadata"]
    (rich,) = (part for part in listed["components"] if part["name"] == "rich")
    assert [reference["url"] for reference in rich["externalReferences"]] == ["https://rich.example"]


def test_the_order_of_parts_is_always_the_same(sbom: ModuleType) -> None:
    turned = "\n\n".join(reversed(STATUS.strip().split("\n\n"))) + "\n"
    assert sbom.complete(_python_packages(), "x", "1", STATUS) == sbom.complete(_python_packages(), "x", "1", turned)
