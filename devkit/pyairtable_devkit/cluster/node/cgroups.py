"""The control groups of a node: one folder in each hierarchy of this machine, made before it and removed after it.

They are the one thing that does not end by itself with the node's processes. Version 1 (a hierarchy for each
controller) and version 2 (one for all) look different; both are served.
"""

import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
_CPUSET = ("cpuset.cpus", "cpuset.mems")
_EMPTY_SECONDS = 20.0


class CgroupError(RuntimeError):
    """Control groups could not be made or removed; the message says why."""


def hierarchies(root: Path = ROOT) -> Sequence[Path]:
    """Return the roots of the hierarchies: one with version 2, one for each controller with version 1."""
    if not root.exists():  # another system than Linux
        return []
    if (root / "cgroup.controllers").exists():
        return [root]
    return sorted(folder for folder in root.iterdir() if (folder / "cgroup.procs").exists() and not folder.is_symlink())


def make(name: str, root: Path = ROOT) -> Sequence[Path]:
    """Make the group in every hierarchy and return its folders; a group below another needs that one first."""
    groups = []
    for hierarchy in hierarchies(root):
        group = hierarchy / name
        try:
            group.mkdir(exist_ok=True)
            for file in _CPUSET:  # version 1: a new group has none, and nothing can run in it
                if (group / file).exists() and not (group / "cgroup.controllers").exists():
                    (group / file).write_text((group.parent / file).read_text())
            _enable_controllers(group.parent)
        except OSError as error:
            raise CgroupError(f"The control group {group} cannot be made: {error}") from error
        groups.append(group)
    return groups


def _enable_controllers(folder: Path) -> None:
    """Version 2: a controller works in a group only if the group above it hands it down."""
    offered = folder / "cgroup.controllers"
    if not offered.exists():
        return
    for controller in sorted({*offered.read_text().split()} & {*_CONTROLLERS}):
        if controller not in (folder / "cgroup.subtree_control").read_text().split():
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def memory(name: str, root: Path = ROOT) -> int:
    """Return how many bytes the processes of the group and those below it hold, the files they read not counted."""
    for hierarchy in hierarchies(root):
        statistics = hierarchy / name / "memory.stat"
        if statistics.exists():
            numbers = dict(line.split() for line in statistics.read_text().splitlines())
            return int(numbers.get("total_rss", numbers.get("anon", 0)))  # version 1, version 2
    return 0


def remove(name: str, root: Path = ROOT) -> bool:
    """Remove the group and those below it; return whether there was any. Their processes must be about to end."""
    groups = [group for hierarchy in hierarchies(root) if (group := hierarchy / name).is_dir()]
    deadline = time.monotonic() + _EMPTY_SECONDS
    for group in groups:
        for folder in [*sorted(_below(group), key=lambda path: -len(path.parts)), group]:
            _remove_one(folder, deadline)
    return bool(groups)


def _below(group: Path) -> list[Path]:
    return [folder for folder in group.rglob("*") if folder.is_dir()]


def _remove_one(folder: Path, deadline: float) -> None:
    """Remove a group; the kernel refuses while a process of it is not quite gone."""
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise CgroupError(f"The control group {folder} cannot be removed: {error}") from error
            time.sleep(0.05)
        else:
            return
