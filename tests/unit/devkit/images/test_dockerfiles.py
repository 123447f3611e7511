"""What the Dockerfiles say: the same rules in each, what they copy is what `make images` watches, and the lock they
install from is that of the repository.
"""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from pyairtable_devkit.images import plan
from pyairtable_devkit.images.plan import REPOSITORY, Image

IMAGES = pytest.mark.parametrize("image", plan.images(), ids=plan.NAMES)
DISTRIBUTIONS = {"services": "platform", "operator": "operator", "devkit": "devkit"}


def _text(image: Image) -> str:
    return (REPOSITORY / image.dockerfile).read_text()


def _lines(image: Image) -> list[str]:
    """The instructions, each in one line."""
    text = re.sub(r"^#.*\n", "", _text(image), flags=re.MULTILINE).replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _copied(image: Image) -> list[str]:
    """What comes from the repository."""
    words = [line.split() for line in _lines(image) if line.startswith("COPY ") and "--from" not in line]
    return [word.rstrip("/") for line in words for word in line[1:-1]]


@IMAGES
def test_what_is_copied_is_what_a_build_depends_on(image: Image) -> None:
    assert set(_copied(image)) == set(image.sources) - {".dockerignore", image.dockerfile}


@IMAGES
def test_what_is_copied_reaches_the_builder(image: Image) -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!").rstrip("/") for line in lines if line.startswith("!")}
    assert set(_copied(image)) <= let_in
    assert "*" in lines


@IMAGES
def test_the_image_stands_on_the_stage_that_all_share(image: Image) -> None:
    ours, theirs = (
        re.search(r"^FROM \S+ AS runtime\n.*?\n\n", _text(one), re.DOTALL | re.MULTILINE)
        for one in (image, plan.images()[0])
    )
    assert ours and theirs
    assert ours[0] == theirs[0]
    assert [line for line in _lines(image) if line.startswith("FROM ")][-1] == "FROM runtime"


@IMAGES
def test_base_images_are_build_arguments(image: Image) -> None:
    lines = _lines(image)
    assert lines[:2] == ["ARG BASE=python:3.11-slim-bookworm", "ARG BUILD_BASE=${BASE}"]
    stages = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert set(stages) <= {"${BASE}", "${BUILD_BASE}", "tools", "dependencies", "runtime"}


@IMAGES
def test_it_runs_as_the_account_that_the_chart_gives_it(image: Image) -> None:
    account = yaml.safe_load((REPOSITORY / "charts/pyairtable/values.yaml").read_text())["pods"]["runAsUser"]
    assert [line for line in _lines(image) if line.startswith("USER ")] == [f"USER {account}:{account}"]
    assert f"pyairtable:x:{account}:{account}:" in _text(image)


@IMAGES
def test_nothing_is_fetched_but_locked_packages(image: Image) -> None:
    lines = _lines(image)
    assert not [line for line in lines if line.startswith("ADD ")]
    assert not [line for line in lines if re.search(r"\b(curl|wget|apt-get|git)\b", line)]
    script = (REPOSITORY / "scripts/image/build.sh").read_text()
    fetching = re.findall(r"install.*-r .*", script)
    assert len(fetching) == 2
    assert all("--require-hashes --only-binary :all:" in line for line in fetching)


@IMAGES
def test_labels_are_those_of_the_oci_specification(image: Image) -> None:
    names = re.findall(r"org\.opencontainers\.image\.([\w.]+)=", _text(image))
    assert names == ["title", "description", "licenses", "url", "version", "revision", "created", "base.name"]


@IMAGES
def test_files_have_the_same_time_by_hand_and_by_make(image: Image) -> None:
    assert f"ARG SOURCE_DATE_EPOCH={plan.EPOCH}" in _lines(image)


@IMAGES
def test_the_entry_point_is_the_command_of_the_distribution(image: Image) -> None:
    project = tomllib.loads((REPOSITORY / image.name / "pyproject.toml").read_text())["project"]
    (command,) = project["scripts"]
    assert f'ENTRYPOINT ["{command}"]' in _lines(image)
    assert project["version"] == image.version


@IMAGES
def test_the_lock_of_an_image_is_a_part_of_the_repositorys(image: Image) -> None:
    whole, part = _locked(REPOSITORY / "requirements.txt"), _locked(REPOSITORY / image.name / "requirements.txt")
    assert part
    assert {name: pinned for name, pinned in part.items() if whole.get(name) != pinned} == {}


@IMAGES
def test_the_lock_of_an_image_has_what_its_distribution_asks_for(image: Image) -> None:
    project = tomllib.loads((REPOSITORY / image.name / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[\[<>=~!; ]", asked)[0].lower() for asked in project["dependencies"]}
    assert names - {"pyairtable-protos"} <= set(_locked(REPOSITORY / image.name / "requirements.txt"))


@IMAGES
def test_no_tool_of_development_is_in_an_images_lock(image: Image) -> None:
    group = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    tools = {re.split(r"[\[<>=~!; ]", asked)[0].lower() for asked in group}
    shipped = set(_locked(REPOSITORY / image.name / "requirements.txt"))
    assert shipped & tools <= {"pyairtable", "googleapis-common-protos", "jsonschema"}  # needed at run time as well


def test_the_lock_of_the_building_stages_agrees_with_the_repositorys() -> None:
    whole, tools = _locked(REPOSITORY / "requirements.txt"), _locked(REPOSITORY / "scripts/image/requirements.txt")
    differing = {name for name in whole.keys() & tools.keys() if whole[name][0] != tools[name][0]}
    assert differing == set()
    assert {"cyclonedx-bom", "hatchling"} <= set(tools)


def test_only_sources_and_locks_reach_a_builder() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    let_in = [line.removeprefix("!").rstrip("/") for line in lines if line.startswith("!")]
    for secret in (".env", ".git/config", ".devkit/keys", "charts/pyairtable/values.yaml", "tests/conftest.py"):
        assert not any(fnmatch(secret, f"{pattern}*") for pattern in let_in)


def _locked(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes of each package of a lock."""
    packages: dict[str, tuple[str, frozenset[str]]] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", path.read_text(), flags=re.IGNORECASE):
        if found := re.match(r"([\w.-]+)==(\S+)", entry):
            packages[found[1]] = (found[2], frozenset(re.findall(r"--hash=(\S+)", entry)))
    return packages
