"""Programs are built once, whole or not at all, and a failure says what is wrong. The Go here is a script."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pyairtable_devkit.cluster.building import Progress, build, build_missing, go_arguments, linker_flags
from pyairtable_devkit.cluster.programs import NODE_PROGRAMS, PROGRAMS, ProgramsError, cache_folder

ETCD, APISERVER = PROGRAMS[0], PROGRAMS[1]
Put = Callable[[str, str], Path]

GO = """
if [ "$1" = env ]; then echo go1.26.8; exit; fi
echo "$@" >> "$HOME/calls"
echo "go: downloading something" >&2
echo package/one >&2
echo package/two >&2
while [ "$1" != -o ]; do shift; done
echo built > "$2"
"""


@pytest.fixture
def environment(tmp_path: Path, put_script: Put) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    put_script("bin/go", GO)
    return {"HOME": str(tmp_path / "home"), "PATH": f"{tmp_path / 'bin'}:/bin:/usr/bin"}


def test_a_program_is_built_into_the_cache_and_reported(environment: dict[str, str], tools: Path) -> None:
    reports: list[Progress] = []
    built = build(ETCD, environment, reports.append, tools)
    assert built == cache_folder(ETCD, environment, tools) / "etcd"
    assert built.read_text() == "built\n"
    assert (reports[0].packages, reports[0].done) == (0, False)
    assert (reports[-1].packages, reports[-1].done, reports[-1].version) == (2, True, "v3.7.3")
    assert {path.name for path in built.parent.iterdir()} == {"etcd", ".lock"}


def test_what_is_there_is_not_built_again(environment: dict[str, str], tools: Path, tmp_path: Path) -> None:
    first = build_missing(environment, lambda _: None, tools=tools)
    assert set(first.paths) == {program.name for program in PROGRAMS}
    build_missing(environment, lambda _: None, tools=tools)
    assert len((tmp_path / "home" / "calls").read_text().splitlines()) == len(PROGRAMS)


def test_two_at_once_build_once(environment: dict[str, str], tools: Path, tmp_path: Path) -> None:
    threads = [threading.Thread(target=build, args=(ETCD, environment, lambda _: None, tools)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len((tmp_path / "home" / "calls").read_text().splitlines()) == 1


def test_a_failed_build_leaves_no_program_and_shows_what_go_said(
    environment: dict[str, str], tools: Path, put_script: Put
) -> None:
    put_script("bin/go", f"{GO}\necho 'missing go.sum entry' >&2; exit 1")
    with pytest.raises(ProgramsError, match=r"etcd could not be built(.|\n)*missing go\.sum entry"):
        build(ETCD, environment, lambda _: None, tools)
    assert not (cache_folder(ETCD, environment, tools) / "etcd").exists()


def test_without_go_the_error_says_what_to_install(tools: Path, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": str(tmp_path)}
    with pytest.raises(ProgramsError, match=r"needs Go 1\.26\.0 or newer, which is not on PATH: install"):
        build(ETCD, environment, lambda _: None, tools)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo go1.9.7", "is 1.9.7"),
        ("echo 'go.mod requires go >= 1.26.0 (running go 1.24.4; GOTOOLCHAIN=local)' >&2; exit 1", "running go 1.24.4"),
    ],
)
def test_an_old_go_is_refused_in_its_own_words(
    environment: dict[str, str], tools: Path, put_script: Put, body: str, said: str
) -> None:
    put_script("bin/go", body)
    with pytest.raises(ProgramsError, match=r"needs Go 1\.26\.0 or newer") as raised:
        build(ETCD, environment, lambda _: None, tools)
    assert said in str(raised.value)


def test_only_pinned_modules_are_used_and_no_path_is_kept(tools: Path) -> None:
    arguments = go_arguments(APISERVER, Path("/out"), tools)
    assert {"-mod=readonly", "-trimpath", "-buildvcs=false"} <= set(arguments)
    assert arguments[-3:] == ["-o", "/out", "k8s.io/kubernetes/cmd/kube-apiserver"]


def test_versions_are_stamped_where_programs_look_for_them() -> None:
    flags = linker_flags(APISERVER, "v1.36.3")
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags
    helm = next(program for program in PROGRAMS if program.name == "helm")
    assert "-X helm.sh/helm/v4/internal/version.version=v4.3.1" in linker_flags(helm, "v4.3.1")
    containerd = next(program for program in NODE_PROGRAMS if program.name == "containerd")
    assert "-X github.com/containerd/containerd/v2/version.Version=v2.4.2" in linker_flags(containerd, "v2.4.2")
    assert linker_flags(ETCD, "v3.7.3") == ["-s", "-w"]
