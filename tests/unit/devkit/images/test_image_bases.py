"""Where the base image comes from. Engine and mmdebstrap are scripts; the store of images is a folder."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pyairtable_devkit.images import bases
from pyairtable_devkit.images.engines import Engine
from pyairtable_devkit.images.plan import ImagesError

Put = Callable[[str, str], Path]

BASE = "docker.io/library/python:3.11-slim-bookworm"
BUILD_BASE = "docker.io/pyairtable/build-base:3.11-slim-bookworm"

# An engine with one command, `podman VERB ...`: `pull NAME` succeeds when NAME is in the folder registry, `pull
# oci-archive:FILE` loads the archive, `image inspect --format FIELD NAME` prints what is kept of NAME.
ENGINE = """
cd "$(dirname "$0")/.." && mkdir -p store registry
echo "$@" >>calls
kept() { echo "store/$(echo "$1" | tr '/:' '__')"; }
case "$1 $3" in
"pull oci-archive:"*)
    name=$(tar -xOf "${3#oci-archive:}" manifest.json | sed 's/.*"RepoTags":\\["\\([^"]*\\)"\\].*/\\1/')
    echo "from packages of Debian" >"$(kept "$name")" ;;
"pull "*)
    [ -e "registry/$(echo "$3" | tr '/:' '__')" ] || exit 125
    echo "" >"$(kept "$3")" ;;
"image --format")
    [ -e "$(kept "$5")" ] || exit 125
    if [ "$4" = "{{.Id}}" ]; then echo "id-of-$5"; else cat "$(kept "$5")"; fi ;;
esac
"""


@pytest.fixture
def engine(put_script: Put) -> Engine:
    return Engine("podman", str(put_script("bin/podman", ENGINE)))


@pytest.fixture
def environment(put_script: Put, tmp_path: Path) -> dict[str, str]:
    put_script(
        "bin/mmdebstrap",
        f'printf "%s\\n" "$SOURCE_DATE_EPOCH $*" >>{tmp_path}/bootstraps\nfor last; do :; done\necho rootfs >"$last"',
    )
    return {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}


def _calls(tmp_path: Path, verb: str) -> list[str]:
    return [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith(verb)]


def _store(tmp_path: Path, folder: str, name: str) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / name.replace("/", "_").replace(":", "_")).write_text("\n")


def test_what_is_in_the_store_is_taken(engine: Engine, environment: dict[str, str], tmp_path: Path) -> None:
    _store(tmp_path, "store", BASE)
    found = bases.ensure(engine, BASE, environment, renew=False)
    assert (found.base, found.build_base, found.bootstrapped) == (BASE, BASE, False)
    assert not _calls(tmp_path, "pull")


def test_what_the_registry_has_is_fetched(engine: Engine, environment: dict[str, str], tmp_path: Path) -> None:
    _store(tmp_path, "registry", BASE)
    found = bases.ensure(engine, BASE, environment, renew=False)
    assert (found.build_base, found.bootstrapped) == (BASE, False)
    assert not (tmp_path / "bootstraps").exists()


def test_without_a_registry_both_bases_are_made_from_packages(
    engine: Engine, environment: dict[str, str], tmp_path: Path
) -> None:
    found = bases.ensure(engine, BASE, environment, renew=False)
    assert (found.base, found.build_base, found.bootstrapped) == (BASE, BUILD_BASE, True)
    run_time, building = sorted((tmp_path / "bootstraps").read_text().splitlines(), key=lambda told: "venv" in told)
    assert "python3-venv" in building
    assert "python3-venv" not in run_time
    assert run_time.startswith("315532800 ")
    # The next build finds both; one that is to renew makes them anew.
    assert bases.ensure(engine, BASE, environment, renew=False) == found
    assert len((tmp_path / "bootstraps").read_text().splitlines()) == 2
    bases.ensure(engine, BASE, environment, renew=True)
    assert len((tmp_path / "bootstraps").read_text().splitlines()) == 4


def test_half_a_bootstrapped_base_is_told(engine: Engine, environment: dict[str, str], tmp_path: Path) -> None:
    bases.ensure(engine, BASE, environment, renew=False)
    (tmp_path / "store" / BUILD_BASE.replace("/", "_").replace(":", "_")).unlink()
    with pytest.raises(ImagesError, match=r"build-base:3\.11-slim-bookworm: build with --renew-base"):
        bases.ensure(engine, BASE, environment, renew=False)


def test_a_failed_bootstrap_says_why(engine: Engine, put_script: Put, environment: dict[str, str]) -> None:
    put_script("bin/mmdebstrap", "echo E: no such release >&2; exit 25")
    with pytest.raises(ImagesError, match="E: no such release"):
        bases.ensure(engine, BASE, environment, renew=False)


def test_without_mmdebstrap_it_says_what_installs_it(engine: Engine) -> None:
    with pytest.raises(ImagesError, match=r"install-image-tools\.sh mmdebstrap"):
        bases.ensure(engine, BASE, {"PATH": "/nowhere"}, renew=False)


@pytest.mark.parametrize(
    "base",
    ["docker.io/library/python:3.12-slim-bookworm", "docker.io/library/alpine:3", "registry.example/python:3.11"],
)
def test_only_debian_with_its_own_python_can_be_made_from_packages(base: str) -> None:
    with pytest.raises(ImagesError, match=r"python:3\.11-slim-bookworm, python:3\.13-slim-trixie"):
        bases.suite_of(base)


def test_a_base_names_its_debian_release() -> None:
    assert bases.suite_of(BASE) == "bookworm"
    assert bases.suite_of("mirror.example/library/python:3.13.1-slim-trixie") == "trixie"
