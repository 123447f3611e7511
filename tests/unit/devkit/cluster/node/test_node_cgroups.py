"""Control groups of both versions are made whole and removed from the bottom. The folders here are plain ones."""

from pathlib import Path

import pytest

from pyairtable_devkit.cluster.node import cgroups


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    for name in ("cpu", "cpuset", "memory"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "both").symlink_to("cpu")
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def test_version_1_has_a_group_in_each_hierarchy(version_1: Path) -> None:
    groups = cgroups.make("node", version_1)
    assert [group.relative_to(version_1).as_posix() for group in groups] == ["cpu/node", "cpuset/node", "memory/node"]
    assert cgroups.remove("node", version_1)
    assert not any(group.exists() for group in groups)
    assert not cgroups.remove("node", version_1)


def test_a_new_group_of_version_1_may_use_the_processors_of_the_one_above(version_1: Path) -> None:
    (version_1 / "cpuset" / "node").mkdir()
    (version_1 / "cpuset" / "node" / "cpuset.cpus").touch()  # as the kernel does
    cgroups.make("node", version_1)
    assert (version_1 / "cpuset" / "node" / "cpuset.cpus").read_text() == "0-1\n"


def test_version_2_hands_its_controllers_down(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "node"):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text("cpu memory rdma\n")
        (folder / "cgroup.subtree_control").write_text("cpu\n")
    (group,) = cgroups.make("node/inner", tmp_path)
    assert group == tmp_path / "node" / "inner"
    assert (tmp_path / "node" / "cgroup.subtree_control").read_text() == "+memory"  # cpu was on, rdma is not wanted


def test_groups_below_go_first(version_1: Path) -> None:
    cgroups.make("node", version_1)
    (version_1 / "memory" / "node" / "pods" / "one").mkdir(parents=True)
    assert cgroups.remove("node", version_1)
    assert not (version_1 / "memory" / "node").exists()


def test_a_group_whose_processes_stay_is_told(version_1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_EMPTY_SECONDS", 0.0)
    cgroups.make("node", version_1)
    (version_1 / "cpu" / "node" / "file").touch()  # rmdir is refused, as it is for a group with processes
    with pytest.raises(cgroups.CgroupError, match="cpu/node cannot be removed"):
        cgroups.remove("node", version_1)


@pytest.mark.parametrize(("text", "held"), [("cache 9\nrss 1\ntotal_rss 7\n", 7), ("anon 5\nfile 9\n", 5)])
def test_memory_is_what_processes_hold(version_1: Path, text: str, held: int) -> None:
    cgroups.make("node", version_1)
    (version_1 / "memory" / "node" / "memory.stat").write_text(text)
    assert cgroups.memory("node", version_1) == held
    assert cgroups.memory("other", version_1) == 0
