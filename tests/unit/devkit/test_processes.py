"""Children: output, stopping, and that none outlives its parent."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from unit.devkit.support import is_gone, wait_until

from pyairtable_devkit.processes import Child, command_line

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


def start(tmp_path: Path, argv: list[str]) -> Child:
    child = Child.start("child", argv, log_path=tmp_path / "logs" / "child.log")
    wait_until(lambda: "up" in child.log_tail() or child.exit_code() is not None)
    return child


def test_output_and_exit_code_are_kept(tmp_path: Path) -> None:
    code = "import sys; print('up to here'); print('wrong', file=sys.stderr); sys.exit(7)"
    child = start(tmp_path, [sys.executable, "-c", code])
    wait_until(lambda: child.exit_code() is not None)
    assert child.exit_code() == 7
    assert {"up to here", "wrong"} <= set(child.log_tail().splitlines())


def test_only_the_given_environment_is_handed_on(tmp_path: Path) -> None:
    code = "import os; print('up', sorted(name for name in os.environ if name != 'LC_CTYPE'))"
    child = Child.start("c", [sys.executable, "-c", code], log_path=tmp_path / "log", env={"ONLY": "this"})
    wait_until(lambda: child.exit_code() is not None)
    assert child.log_tail() == "up ['ONLY']"


def test_a_polite_child_is_stopped_by_asking(tmp_path: Path) -> None:
    child = start(tmp_path, SLEEP)
    child.stop()
    assert child.exit_code() == -signal.SIGTERM


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = start(tmp_path, STUBBORN)
    child.stop(grace=0.1)
    assert child.exit_code() == -signal.SIGKILL


def test_stopping_takes_along_what_the_child_started(tmp_path: Path) -> None:
    code = f"import subprocess, time; p = subprocess.Popen({STUBBORN}); print(p.pid, 'up', flush=True); p.wait()"
    child = start(tmp_path, [sys.executable, "-c", code])
    grandchild = int(child.log_tail().split()[0])
    child.stop()
    wait_until(lambda: is_gone(grandchild))


def test_a_child_leads_a_group_of_its_own_so_that_ctrl_c_spares_it(tmp_path: Path) -> None:
    child = start(tmp_path, [sys.executable, "-c", "import os; print('up', os.getpgrp() == os.getpid())"])
    wait_until(lambda: child.exit_code() is not None)
    assert child.log_tail() == "up True"


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_killed_parent_takes_its_children_along(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from pyairtable_devkit.processes import Child
print(Child.start("c", {SLEEP!r}, log_path=Path({str(tmp_path / "c.log")!r})).pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_until(lambda: "up" in (tmp_path / "c.log").read_text())
        assert not is_gone(child)
        parent.kill()
    wait_until(lambda: is_gone(child))


def test_children_can_be_started_while_other_threads_run(tmp_path: Path) -> None:
    over = threading.Event()
    threads = [threading.Thread(target=over.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    child = start(tmp_path, SLEEP)
    over.set()
    assert child.exit_code() is None
    assert command_line(child.pid) == SLEEP
    child.kill()
