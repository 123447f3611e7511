"""Completes the list of an image's parts (SBOM, CycloneDX JSON): the Python packages come from cyclonedx-py by standard
input, the interpreter and the Debian packages are added here, and the whole is checked against CycloneDX's schema.

Runs in the building stage of an image (scripts/image/build.sh). The same packages give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPECIFICATION = "1.6"


def main() -> None:
    arguments = _arguments()
    python_packages = json.load(sys.stdin)
    parts = complete(python_packages, arguments.image, arguments.version, arguments.packages.read_text())
    text = json.dumps(parts, indent=1, sort_keys=True)
    validate(text)
    print(text)


def complete(python_packages: dict[str, Any], image: str, version: str, status: str) -> dict[str, Any]:
    """Return the SBOM of an image; `status` is the text of dpkg's status file."""
    name = f"pyairtable/{image}"
    debian = [debian_component(fields) for fields in installed(status)]
    interpreter = {
        "type": "platform",
        "bom-ref": "cpython",
        "name": "cpython",
        "version": platform.python_version(),
        "cpe": f"cpe:2.3:a:python:python:{platform.python_version()}:*:*:*:*:*:*:*",
    }
    components = [interpreter, *python_packages.get("components", []), *debian]
    described = {"type": "container", "bom-ref": name, "name": name, "version": version}
    metadata = {key: value for key, value in python_packages.get("metadata", {}).items() if key != "timestamp"}
    return {
        **python_packages,
        "metadata": {**metadata, "component": described},
        "components": sorted(map(_published, components), key=lambda component: str(component["bom-ref"])),
    }


def installed(status: str) -> Iterator[dict[str, str]]:
    """Read dpkg's status file; yields the fields of each package that is installed."""
    for paragraph in status.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if not line.startswith((" ", "\t")) and ":" in line]
        fields = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
        if fields.get("Status", "").endswith(" installed"):
            yield fields


def debian_component(fields: dict[str, str]) -> dict[str, Any]:
    """Return a package with its package URL (purl specification: type deb)."""
    name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
    purl = f"pkg:deb/debian/{name}@{_quoted(version)}?arch={architecture}"
    if source := fields.get("Source", "").split(" ", 1)[0]:
        purl += f"&upstream={source}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "supplier": {"name": fields.get("Maintainer", "")},
    }


def validate(text: str) -> None:
    """End the build when the SBOM is not CycloneDX."""
    # Not at the top: the library is in the building stage alone, and the rest of this module is tested without it.
    from cyclonedx.schema import SchemaVersion  # type: ignore[import-not-found]
    from cyclonedx.validation.json import JsonStrictValidator  # type: ignore[import-not-found]

    if error := JsonStrictValidator(SchemaVersion.from_version(SPECIFICATION)).validate_str(text):
        sys.exit(f"sbom.py: not CycloneDX {SPECIFICATION}: {error}")


def _published(component: dict[str, Any]) -> dict[str, Any]:
    """Leave out where a file lay while the image was built."""
    references = component.get("externalReferences", [])
    kept = [reference for reference in references if not str(reference["url"]).startswith("file:")]
    without = {key: value for key, value in component.items() if key != "externalReferences"}
    return {**without, "externalReferences": kept} if kept else without


def _quoted(version: str) -> str:
    """Percent-encode what a package URL does not take in a version."""
    return version.replace("%", "%25").replace("+", "%2B").replace(":", "%3A")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--packages", type=Path, required=True, help="dpkg's status file of the base image")
    return parser.parse_args()


if __name__ == "__main__":
    main()
