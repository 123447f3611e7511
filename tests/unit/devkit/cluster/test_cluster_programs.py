"""Programs are found in the right order and in the right version, or said to be missing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pyairtable_devkit.cluster.programs import (
    NODE_PROGRAMS,
    PROGRAMS,
    TOOLS,
    MissingProgramsError,
    ProgramsError,
    cache_folder,
    find,
    find_programs,
    fits,
    pinned_version,
)

APISERVER = next(program for program in PROGRAMS if program.name == "kube-apiserver")
PAUSE = next(program for program in NODE_PROGRAMS if program.name == "pause")
Put = Callable[[str, str], Path]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "PATH": f"{tmp_path / 'bin'}:/bin:/usr/bin"}


def test_versions_are_those_of_the_go_modules(tools: Path) -> None:
    versions = {program.name: pinned_version(program, tools) for program in PROGRAMS}
    assert versions == {
        "etcd": "v3.7.3",
        "kube-apiserver": "v1.36.3",
        "kube-controller-manager": "v1.36.3",
        "kubectl": "v1.36.3",
        "helm": "v4.3.1",
    }


def test_the_repository_pins_every_program() -> None:
    assert all(pinned_version(program, TOOLS).startswith("v") for program in (*PROGRAMS, *NODE_PROGRAMS))


def test_a_program_of_our_own_has_its_version_behind_its_modules_name(tools: Path) -> None:
    (tools / "pause").mkdir()
    (tools / "pause" / "go.mod").write_text("module pyairtable.dev/tools/pause // v1.2.3\n\ngo 1.26.0\n")
    assert pinned_version(PAUSE, tools) == "v1.2.3"


def test_what_cannot_say_its_version_is_not_taken_from_the_path(
    environment: dict[str, str], tools: Path, put_script: Put
) -> None:
    (tools / "pause").mkdir()
    (tools / "pause" / "go.mod").write_text("module pyairtable.dev/tools/pause // v1.2.3\n")
    put_script("bin/pause", "echo v1.2.3")
    assert find(PAUSE, environment, tools) is None


def test_without_a_checkout_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProgramsError, match="come with a checkout"):
        pinned_version(APISERVER, tmp_path)


def test_a_module_that_pins_nothing_is_named(tools: Path) -> None:
    (tools / "kubernetes" / "go.mod").write_text("module x\n")
    with pytest.raises(ProgramsError, match=r"does not require k8s\.io/kubernetes"):
        pinned_version(APISERVER, tools)


def test_the_cache_comes_before_the_path(environment: dict[str, str], tools: Path, put_script: Put) -> None:
    on_path = put_script("bin/kube-apiserver", "echo Kubernetes v1.36.0")
    assert find(APISERVER, environment, tools) == on_path
    cached = cache_folder(APISERVER, environment, tools) / "kube-apiserver"
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert find(APISERVER, environment, tools) == cached


@pytest.mark.parametrize("body", ["echo Kubernetes v1.35.9", "echo what?", "exit 3"])
def test_what_does_not_fit_on_the_path_is_passed_over(
    environment: dict[str, str], tools: Path, put_script: Put, body: str
) -> None:
    put_script("bin/kube-apiserver", body)
    assert find(APISERVER, environment, tools) is None


def test_assets_come_first(environment: dict[str, str], tools: Path, put_script: Put) -> None:
    put_script("bin/kube-apiserver", "echo Kubernetes v1.36.0")
    given = put_script("assets/kube-apiserver", "echo Kubernetes v1.36.1")
    assert find(APISERVER, {**environment, "KUBEBUILDER_ASSETS": str(given.parent)}, tools) == given


def test_assets_that_do_not_fit_are_refused_not_passed_over(
    environment: dict[str, str], tools: Path, put_script: Put
) -> None:
    given = put_script("assets/kube-apiserver", "echo Kubernetes v1.31.0")
    with pytest.raises(ProgramsError, match=r"holds kube-apiserver v1\.31\.0, and v1\.36\.3 is needed: unset it"):
        find(APISERVER, {**environment, "KUBEBUILDER_ASSETS": str(given.parent)}, tools)


def test_all_that_is_missing_is_named_with_the_remedy(
    environment: dict[str, str], tools: Path, put_script: Put
) -> None:
    put_script("bin/kube-apiserver", "echo Kubernetes v1.36.3")
    with pytest.raises(MissingProgramsError, match="etcd, kube-controller-manager, kubectl, helm") as raised:
        find_programs({**environment, "PATH": environment["PATH"].split(":")[0]}, tools=tools)
    assert "make cluster-programs" in str(raised.value)
    assert APISERVER not in raised.value.missing


def test_found_programs_make_a_search_path(environment: dict[str, str], tools: Path) -> None:
    for program in PROGRAMS:
        path = cache_folder(program, environment, tools) / program.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    folders = find_programs(environment, tools=tools).search_path.split(":")
    assert [Path(folder).name.split("-v")[0] for folder in folders] == ["etcd", "kubernetes", "helm"]


def test_the_cache_is_kept_apart_by_version(environment: dict[str, str], tools: Path) -> None:
    before = cache_folder(APISERVER, environment, tools)
    manifest = tools / "kubernetes" / "go.mod"
    manifest.write_text(manifest.read_text().replace("v1.36.3", "v1.37.0"))
    assert cache_folder(APISERVER, environment, tools) != before
    assert str(cache_folder(APISERVER, {**environment, "XDG_CACHE_HOME": "/xdg"}, tools)).startswith("/xdg/pyairtable/")


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("v1.36.0", "v1.36.3", True),
        ("1.36", "v1.36.3", True),
        ("v1.37.3", "v1.36.3", False),
        ("v2.36.3", "v1.36.3", False),
        ("", "v1.36.3", False),
        ("v1", "v1.36.3", False),
    ],
)
def test_only_the_same_minor_version_fits(version: str, wanted: str, expected: bool) -> None:
    assert fits(version, wanted) is expected
