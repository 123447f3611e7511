"""A record tells whether its cluster still runs, and is not deceived by a process that got the same number."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pyairtable_devkit.cluster import launching
from pyairtable_devkit.cluster.record import Place, Record, of_this_process, read_record, write_record


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose command line reads like a cluster's."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "cluster", "up"])
    yield process
    process.kill()
    process.wait()


def _record(process: subprocess.Popen[bytes]) -> Record:
    return Record(process.pid, psutil.Process(process.pid).create_time(), "built", bare=True, port_offset=0)


def test_a_record_survives_the_file(tmp_path: Path) -> None:
    place = Place(tmp_path / "deep" / "er")
    assert read_record(place) is None
    record = of_this_process("kind", bare=False, port_offset=7)
    write_record(place, record)
    assert read_record(place) == record


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"unknown": 2}'])
def test_a_broken_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "running.json").write_text(text)
    assert read_record(Place(tmp_path)) is None


def test_it_runs_while_the_very_process_does(sleeper: subprocess.Popen[bytes]) -> None:
    record = _record(sleeper)
    assert record.is_running()
    assert not dataclasses.replace(record, started=record.started - 60).is_running()
    sleeper.kill()
    sleeper.wait()
    assert not record.is_running()


def test_a_process_that_is_no_cluster_is_not_taken_for_one() -> None:
    assert not of_this_process("built", bare=True, port_offset=0).is_running()


def test_down_does_not_touch_a_process_that_is_no_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path)
    write_record(place, of_this_process("built", bare=True, port_offset=0))  # it would stop these tests
    (place.plane / "pki").mkdir(parents=True)
    place.logs.mkdir()
    assert launching.down(tmp_path) == 0
    assert "left behind is removed" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_a_second_cluster_in_the_same_folder_is_refused(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    write_record(Place(tmp_path), _record(sleeper))
    with pytest.raises(launching.ClusterError, match=f"process {sleeper.pid}.*cluster down"):
        launching.refuse_second(Place(tmp_path))


def test_without_a_cluster_status_and_kubeconfig_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert launching.status(tmp_path, {}) == 3
    assert launching.tell_kubeconfig(tmp_path, None) == 3
    assert capsys.readouterr().out.count("No cluster is running") == 2
