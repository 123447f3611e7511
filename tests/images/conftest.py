"""The images, built once for all tests of a run (an engine's cache is used), and unpacked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from images.container import Container, Unpacked, unpack

from pyairtable_devkit.images import archive as archives
from pyairtable_devkit.images import building, plan
from pyairtable_devkit.images.archive import Archive

Start = Callable[..., Container]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.images)
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Archive]:
    """The archive of each image, made by the command that users give."""
    folder = tmp_path_factory.mktemp("archives")
    return build(folder, building.Choice())


def build(folder: Path, choice: building.Choice) -> Mapping[str, Archive]:
    code = building.build(folder, choice, dict(os.environ))
    logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log")) if code else ""
    assert code == 0, logs
    return {name: archives.read(building.archive_path(folder, name)) for name in plan.NAMES}


@pytest.fixture(scope="session")
def unpacked(built: Mapping[str, Archive], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Unpacked]:
    """The root file system of each image."""
    assert os.geteuid() == 0, "files of an image belong to root: these tests unpack them as root"
    assert shutil.which("runc"), "runc starts the containers: scripts/install-image-tools.sh runc"
    folder = tmp_path_factory.mktemp("images")
    return {name: unpack(archive, folder / name) for name, archive in built.items()}


@pytest.fixture
def start(unpacked: Mapping[str, Unpacked], tmp_path: Path) -> Iterator[Start]:
    """Start containers: `start("services", ["pyairtable-platform", "version"])`; all are stopped after the test."""
    with ExitStack() as running:

        def one(name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Container:
            return running.enter_context(Container(unpacked[name], tmp_path, arguments, environment))

        yield one
