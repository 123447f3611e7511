"""What the images are called, and what their sources say of revision and time."""

from pathlib import Path

import pytest
import yaml
from unit.devkit.images.conftest import IMAGE, Commit

from pyairtable_devkit.images import plan
from pyairtable_devkit.images.plan import ImagesError, State


def test_names_and_tags_are_those_that_the_chart_asks_for() -> None:
    chart = plan.REPOSITORY / "charts" / "pyairtable"
    values = yaml.safe_load((chart / "values.yaml").read_text())["images"]
    version = yaml.safe_load((chart / "Chart.yaml").read_text())["appVersion"]
    for image in plan.images():
        assert image.reference.endswith(f"/{values[image.name]['repository']}:{version}")
    assert {image.name for image in plan.images()} == set(plan.NAMES) == {"services", "operator", "devkit"}


@pytest.mark.parametrize(
    ("registry", "tag", "expected"),
    [
        ("", "", "docker.io/pyairtable/services:0.1.0"),
        ("registry.example:5000/team/", "9", "registry.example:5000/team/pyairtable/services:9"),
    ],
)
def test_a_reference_has_its_registry_and_tag(registry: str, tag: str, expected: str) -> None:
    value = {"registry": registry, "repository": "pyairtable/services", "tag": tag}
    assert plan.reference(value, "0.1.0") == expected


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("python:3.11", "docker.io/library/python:3.11"),
        ("team/python", "docker.io/team/python"),
        ("registry.example/python:1", "registry.example/python:1"),
        ("localhost/python", "localhost/python"),
        ("host:5000/python", "host:5000/python"),
    ],
)
def test_a_short_name_means_what_engines_take_it_for(short: str, whole: str) -> None:
    assert plan.whole_name(short) == whole


def test_only_commits_that_change_the_sources_change_revision_and_time(repository: Path, commit: Commit) -> None:
    first = commit("first", 1_000_000_000)
    before = plan.state(IMAGE, {}, repository)
    assert (before.revision, before.created) == (first, "2001-09-09T01:46:40Z")
    (repository / "README.md").write_text("other words\n")
    commit("words", 1_000_000_100)
    assert plan.state(IMAGE, {}, repository) == before
    (repository / "devkit/pyairtable_devkit/cli.py").write_text("code\n")
    third = commit("code", 1_000_000_200)
    after = plan.state(IMAGE, {}, repository)
    assert (after.revision, after.created) == (third, "2001-09-09T01:50:00Z")
    assert after.digest != before.digest


def test_what_is_not_committed_is_told(repository: Path, commit: Commit) -> None:
    first = commit("first", 1_000_000_000)
    before = plan.state(IMAGE, {}, repository)
    (repository / "devkit/pyairtable_devkit/new.py").write_text("code\n")
    now = plan.state(IMAGE, {}, repository)
    assert now.revision == f"{first}-modified"
    assert now.digest != before.digest


def test_bytecode_is_no_source(repository: Path, commit: Commit) -> None:
    commit("first", 1_000_000_000)
    before = plan.state(IMAGE, {}, repository)
    cache = repository / "devkit/pyairtable_devkit/__pycache__"
    cache.mkdir()
    (cache / "cli.pyc").write_bytes(b"code")
    assert plan.state(IMAGE, {}, repository).digest == before.digest


def test_without_history_the_time_has_to_be_named(repository: Path) -> None:
    with pytest.raises(ImagesError, match="SOURCE_DATE_EPOCH"):
        plan.state(IMAGE, {}, repository)
    assert plan.state(IMAGE, {"SOURCE_DATE_EPOCH": "7"}, repository) == State(
        "unknown", "1970-01-01T00:00:07Z", plan.state(IMAGE, {"SOURCE_DATE_EPOCH": "8"}, repository).digest
    )


def test_outside_of_a_checkout_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ImagesError, match="from a checkout"):
        plan.images(tmp_path)
