"""The same input gives the same image."""

from __future__ import annotations

from pathlib import Path

from images.conftest import build

from pyairtable_devkit.images.building import Choice


def test_two_builds_from_nothing_are_equal(tmp_path: Path) -> None:
    """Base image and every layer anew, twice; archives and their lists of parts are compared byte by byte."""
    choice = Choice(renew_base=True, cached=False)
    one, two = (build(tmp_path / which, choice) for which in ("one", "two"))
    assert {name: found.layers for name, found in one.items()} == {name: found.layers for name, found in two.items()}
    assert {name: found.digest for name, found in one.items()} == {name: found.digest for name, found in two.items()}
    for name, found in one.items():
        assert found.path.read_bytes() == two[name].path.read_bytes()


def test_an_unchanged_image_is_not_built_again(tmp_path: Path) -> None:
    first = build(tmp_path, Choice())
    times = {name: found.path.stat().st_mtime_ns for name, found in first.items()}
    again = build(tmp_path, Choice())
    assert {name: found.path.stat().st_mtime_ns for name, found in again.items()} == times
