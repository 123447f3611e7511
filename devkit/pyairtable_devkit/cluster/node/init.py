"""Process 1 of a node: prepares its file system, then runs the programs it is told to and starts anew what ends.

    python -I -S init.py FOLDER CGROUP ...

It is run in new PID, mount and network namespaces, so that all that lives in the node, containers and mounts included,
ends with it. It uses the standard library alone, is never imported by others, and reads FOLDER/programs.json when that
appears: [{"name", "argv", "env", "log", "needs"}, ...], `needs` being a path that must exist before the program starts.
FOLDER/prepared says that the file system is ready. It and its programs live in the control groups CGROUP.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_AGAIN_SECONDS = 1.0
_POLL_SECONDS = 0.05


def main() -> None:
    """Prepare, say so, wait for word of programs and keep them running; never returns."""
    folder, cgroups = Path(sys.argv[1]), sys.argv[2:]
    for cgroup in cgroups:
        Path(cgroup, "cgroup.procs").write_text("0")  # whoever writes
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    prepare(folder)
    (folder / "prepared").touch()  # sandbox.PREPARED
    plan = folder / "programs.json"
    while not plan.exists():
        time.sleep(_POLL_SECONDS)
    keep_running(json.loads(plan.read_bytes()))


def prepare(folder: Path) -> None:
    """Give the node folders of its own where its programs write to fixed places, and forward packets for its pods."""
    kept = os.open(folder, os.O_PATH)
    mount("--make-rshared", "/")  # pods may ask for mounts that spread
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    upper, work = Path("/run/pyairtable/var"), Path("/run/pyairtable/var.work")
    for layer in (upper, work):
        layer.mkdir(parents=True)
    mount("-t", "overlay", "-o", f"lowerdir=/var,upperdir={upper},workdir={work}", "overlay", "/var")
    if folder.is_relative_to("/run") or folder.is_relative_to("/var"):  # it is hidden now, or not what it was
        folder.mkdir(parents=True, exist_ok=True)
        mount("--no-canonicalize", "--bind", f"/proc/self/fd/{kept}", str(folder), keep=(kept,))
    os.close(kept)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def keep_running(programs: list[dict[str, Any]]) -> None:
    """Start each program when what it needs is there, and again when it ends; collect all that end."""
    running: dict[int, dict[str, Any]] = {}
    waiting = [(0.0, program) for program in programs]
    while True:
        now = time.monotonic()
        for due, program in list(waiting):
            if due <= now and (not program["needs"] or Path(program["needs"]).exists()):
                waiting.remove((due, program))
                running[start(program)] = program
        for pid, status in ended():
            if program := running.pop(pid, {}):
                note(program, f"ended with {os.waitstatus_to_exitcode(status)}; it is started again")
                waiting.append((time.monotonic() + _AGAIN_SECONDS, program))
        time.sleep(_POLL_SECONDS)


def start(program: dict[str, Any]) -> int:
    """Start a program in a process group of its own and return its process id."""
    log = (os.POSIX_SPAWN_OPEN, 1, program["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), log, (os.POSIX_SPAWN_DUP2, 1, 2)]
    return os.posix_spawn(
        program["argv"][0], program["argv"], program["env"], file_actions=files, setpgroup=0, setsigdef=[signal.SIGPIPE]
    )


def ended() -> list[tuple[int, int]]:
    """Return process ids and statuses of all that have ended: programs, and orphans, which are ours to collect."""
    found = []
    with contextlib.suppress(ChildProcessError):
        while (pair := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(pair)
    return found


def note(program: dict[str, Any], text: str) -> None:
    with Path(program["log"]).open("a") as log:
        log.write(f"node: {program['name']} {text}\n")


def mount(*options: str, keep: tuple[int, ...] = ()) -> None:
    subprocess.run(["mount", *options], check=True, pass_fds=keep)


if __name__ == "__main__":
    main()
