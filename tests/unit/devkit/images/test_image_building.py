"""What `images build` leaves behind, and when it builds. The engine is a script that exports a prepared archive."""

from collections.abc import Callable
from pathlib import Path

import pytest
from unit.devkit.images.conftest import digest, exported, layer

from pyairtable_devkit.images import archive as archives
from pyairtable_devkit.images import building, plan
from pyairtable_devkit.images.building import Choice

Put = Callable[[str, str], Path]

SBOM = '{"bomFormat": "CycloneDX"}'
ENGINE = """
cd "$(dirname "$0")/.."
case "$1" in
inspect) case "$*" in *FromImageID*) cat base ;; *) echo ;; esac ;;
build) echo "$*" >>builds; echo "STEP 1: building"; exit "$(cat code)" ;;
push) cp prepared.tar "$(echo "$4" | cut -d: -f2)" ;;
esac
"""


@pytest.fixture
def environment(put_script: Put, tmp_path: Path) -> dict[str, str]:
    """A machine with one engine, whose build succeeds with an image that has its list of parts."""
    put_script("bin/buildah", ENGINE)
    (tmp_path / "base").write_text("id of the base")
    (tmp_path / "code").write_text("0")
    _prepare(tmp_path, {"usr/share/sbom/pyairtable-devkit.cdx.json": SBOM})
    certificates = tmp_path / "certificates.pem"
    certificates.write_text("not a certificate")
    path = f"{tmp_path}/bin:/usr/local/bin:/usr/bin:/bin"
    return {"PATH": path, "SSL_CERT_FILE": str(certificates), "SOURCE_DATE_EPOCH": "1000000000"}


def _prepare(tmp_path: Path, files: dict[str, str]) -> None:
    exported(tmp_path / "prepared.tar", [layer({"etc/passwd": ""}), layer(files)])


def _build(tmp_path: Path, environment: dict[str, str], *, cached: bool = True) -> int:
    choice = Choice(names=("devkit",), engine="buildah", cached=cached)
    return building.build(tmp_path / "images", choice, environment)


def _builds(tmp_path: Path) -> list[str]:
    return (tmp_path / "builds").read_text().splitlines()


def test_a_build_leaves_archive_parts_and_list(tmp_path: Path, environment: dict[str, str]) -> None:
    assert _build(tmp_path, environment) == 0
    folder = tmp_path / "images"
    found = archives.read(building.archive_path(folder, "devkit"))
    name = next(image.reference for image in plan.images() if image.name == "devkit")
    assert found.annotations[archives.CONTAINERD_ANNOTATION] == found.reference == name
    assert building.sbom_path(folder, "devkit").read_text() == SBOM
    assert found.annotations[building.SBOM_ANNOTATION] == digest(SBOM.encode())
    assert (folder / "images.txt").read_text() == f"{name} {found.digest}\n"
    (told,) = _builds(tmp_path)
    assert f"id=ca-certificates,src={tmp_path}/certificates.pem" in told
    assert "CREATED=2001-09-09T01:46:40Z" in told


def test_only_what_has_changed_is_built(tmp_path: Path, environment: dict[str, str]) -> None:
    for _ in range(2):
        assert _build(tmp_path, environment) == 0
    assert len(_builds(tmp_path)) == 1
    (tmp_path / "base").write_text("id of another base")
    assert _build(tmp_path, environment) == 0
    assert len(_builds(tmp_path)) == 2
    assert _build(tmp_path, environment, cached=False) == 0
    assert "--no-cache" in _builds(tmp_path)[2]
    building.sbom_path(tmp_path / "images", "devkit").unlink()
    assert _build(tmp_path, environment) == 0
    assert len(_builds(tmp_path)) == 4


def test_a_failed_build_says_what_the_engine_said(
    tmp_path: Path, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "code").write_text("3")
    assert _build(tmp_path, environment) == 1
    said = capsys.readouterr().out
    assert "failed with 3" in said
    assert "STEP 1: building" in said
    assert not building.archive_path(tmp_path / "images", "devkit").exists()


def test_an_image_without_its_list_of_parts_is_refused(
    tmp_path: Path, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    _prepare(tmp_path, {"opt/app": "code"})
    assert _build(tmp_path, environment) == 1
    assert "has no file /usr/share/sbom/pyairtable-devkit.cdx.json" in capsys.readouterr().out


def test_without_an_engine_it_says_what_to_install(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert building.build(tmp_path, Choice(), {"PATH": "/nowhere"}) == 1
    assert "install-image-tools.sh" in capsys.readouterr().out


def test_the_list_tells_what_is_missing(
    tmp_path: Path, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _build(tmp_path, environment) == 0
    capsys.readouterr()
    assert building.list_images(tmp_path / "images") == 1
    said = capsys.readouterr().out
    assert "pyairtable/services:0.1.0 is not built: make images" in said
    assert "pyairtable/devkit:0.1.0 sha256:" in said
