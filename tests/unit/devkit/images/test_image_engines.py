"""What each engine is told, and which is chosen. The engines here are scripts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from unit.devkit.images.conftest import IMAGE

from pyairtable_devkit.images import engines, plan
from pyairtable_devkit.images.engines import Engine, Order
from pyairtable_devkit.images.plan import ImagesError, State

Put = Callable[[str, str], Path]


def _order(*, cached: bool = True) -> Order:
    return Order(
        IMAGE,
        State("abc", "2026-01-02T03:04:05Z", "sha256:x"),
        "docker.io/library/python:3.11-slim-bookworm",
        "docker.io/pyairtable/build-base:3.11-slim-bookworm",
        Path("/repository"),
        {"pip.conf": Path("/etc/pip.conf")},
        cached,
    )


@pytest.mark.parametrize("name", engines.NAMES)
def test_every_engine_is_told_base_version_revision_and_time(name: str) -> None:
    build, *_ = Engine(name, name).build(_order(), Path("/out.tar"))
    told = [build[place + 1] for place, word in enumerate(build) if word == "--build-arg"]
    assert told == [
        "BASE=docker.io/library/python:3.11-slim-bookworm",
        "BUILD_BASE=docker.io/pyairtable/build-base:3.11-slim-bookworm",
        "VERSION=1.2.3",
        "REVISION=abc",
        "CREATED=2026-01-02T03:04:05Z",
        "SOURCE_DATE_EPOCH=315532800",
    ]
    assert build[build.index("--secret") + 1] == "id=pip.conf,src=/etc/pip.conf"
    assert build[build.index("--file") + 1] == "/repository/devkit/Dockerfile"
    assert build[-1] == "/repository"
    assert "--no-cache" not in build
    assert "--no-cache" in Engine(name, name).build(_order(cached=False), Path("/out.tar"))[0]


@pytest.mark.parametrize("name", ["podman", "buildah"])
def test_podman_and_buildah_build_files_without_dates_and_then_export(name: str) -> None:
    build, push = Engine(name, name).build(_order(), Path("/out.tar"))
    assert build[build.index("--timestamp") + 1] == str(plan.EPOCH)
    assert {"--pull=never", "--layers"} <= set(build)
    assert push[-2:] == [IMAGE.reference, f"oci-archive:/out.tar:{IMAGE.reference}"]


def test_docker_exports_while_it_builds() -> None:
    (build,) = Engine("docker", "docker").build(_order(), Path("/out.tar"))
    assert build[build.index("--output") + 1] == f"type=oci,dest=/out.tar,name={IMAGE.reference},rewrite-timestamp=true"
    assert "--provenance=false" in build


def test_an_image_of_the_store_is_asked_for_its_id_and_labels() -> None:
    assert Engine("podman", "podman").look_up("a:1", "id") == [
        "podman",
        "image",
        "inspect",
        "--format",
        "{{.Id}}",
        "a:1",
    ]
    assert '{{index .OCIv1.Config.Labels "b.c"}}' in Engine("buildah", "buildah").look_up("a:1", "b.c")


def test_a_registry_is_asked_although_there_is_such_an_image() -> None:
    assert Engine("buildah", "buildah").pull("a:1") == ["buildah", "pull", "--quiet", "--policy", "always", "a:1"]
    assert Engine("podman", "podman").pull("a:1") == ["podman", "pull", "--quiet", "a:1"]  # always does


def test_the_first_engine_that_answers_is_taken(put_script: Put) -> None:
    silent = put_script("bin/docker", "exit 1")
    answers = put_script("bin/buildah", "exit 0")
    environment = {"PATH": str(silent.parent)}
    assert engines.choose("auto", environment) == Engine("buildah", str(answers))
    with pytest.raises(ImagesError, match=r"is there and answers: docker\. .*install-image-tools\.sh"):
        engines.choose("docker", environment)
    with pytest.raises(ImagesError, match="docker, podman, buildah"):
        engines.choose("auto", {"PATH": "/nowhere"})


def test_an_engine_that_hangs_does_not_answer(put_script: Put) -> None:
    slow = put_script("bin/docker", "sleep 60")
    assert engines.ask([str(slow), "info"], timeout=0.2) is None
