"""What a stack is made of: a database, a server that says over HTTP that it is ready, a job that ends.

A part is started without waiting (a database excepted: it takes well under a second), asked whether it is ready,
and stopped. stack.py brings them up in order.
"""

import http.client
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from pyairtable_devkit.databases import Database, DatabaseError, Postgres
from pyairtable_devkit.ports import LOOPBACK, require_free
from pyairtable_devkit.processes import Child


class PartFailedError(RuntimeError):
    """A part of the stack did not start, or ended by itself; the message says which, and its last output."""


class Part(Protocol):
    """One thing to start; `after` names the parts that must be ready before it."""

    @property
    def name(self) -> str: ...

    @property
    def after(self) -> Sequence[str]: ...

    @property
    def ports(self) -> Sequence[int]:
        """The loopback ports on which it listens."""

    @property
    def pid(self) -> int | None:
        """The process, which leads a group of its own; None when it does not run."""

    def start(self) -> None:
        """Start it; raises PartFailedError or PortTakenError."""

    def is_ready(self) -> bool:
        """Ask once whether the parts after it may start."""

    def failure(self) -> str:
        """Return why it cannot go on, empty while all is well."""

    def stop(self) -> None:
        """Stop it and wait; does nothing when it does not run."""


def check_ports(part: Part) -> None:
    """Raise PortTakenError if a port of the part is not free."""
    for port in part.ports:
        require_free(port, part.name)


@dataclass
class DatabasePart:
    """An embedded database; for PostgreSQL also the database that the platform uses in it."""

    name: str
    kind: type[Database]
    port: int
    data_dir: Path
    create: str = ""
    anew: bool = False
    """Begin with an empty database."""
    after: Sequence[str] = ()
    _database: Database | None = field(default=None, repr=False)

    @property
    def ports(self) -> Sequence[int]:
        return (self.port,)

    @property
    def pid(self) -> int | None:
        return self._database.pid if self.is_ready() and self._database else None

    def start(self) -> None:
        try:
            self._database = self.kind.start(self.data_dir, self.port)
            if self.create and isinstance(self._database, Postgres):
                if self.anew:
                    self._database.drop_database(self.create)
                self._database.ensure_database(self.create)
        except DatabaseError as error:
            raise PartFailedError(str(error)) from error

    def is_ready(self) -> bool:
        return self._database is not None and self._database.is_running()

    def failure(self) -> str:
        if self._database is None or self._database.is_running():
            return ""
        return f"{self.name} has ended; its log is {self._database.log_path}"

    def stop(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


@dataclass
class ProcessPart:
    """A program with a log file of its own; ready when its ready_path answers 200 on the first of its ports.

    Without ports it is a job: ready when it has ended with 0.
    """

    name: str
    command: Sequence[str]
    log_dir: Path
    env: Mapping[str, str] = field(repr=False)
    ready_path: str = "/ready"
    ports: Sequence[int] = ()
    after: Sequence[str] = ()
    _child: Child | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child and self._child.exit_code() is None else None

    def start(self) -> None:
        log_path = self.log_dir / f"{self.name}.log"
        log_path.unlink(missing_ok=True)
        self._child = Child.start(self.name, self.command, log_path=log_path, env=self.env)

    def is_ready(self) -> bool:
        if not self.ports:
            return self._child is not None and self._child.exit_code() == 0
        return _answers_ok(self.ports[0], self.ready_path)

    def failure(self) -> str:
        code = self._child.exit_code() if self._child else None
        if self._child is None or code is None or (code == 0 and not self.ports):
            return ""
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{self.name} {how}; its log {self._child.log_path} ends:\n{self._child.log_tail()}"

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None


def program(name: str) -> str:
    """Return the path of a command that is installed beside this Python."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise PartFailedError(f"The command {name} is not installed beside {sys.executable}: run `make setup`")
    return str(path)


def _answers_ok(port: int, path: str) -> bool:
    """Ask once over plain HTTP (cheaper than a client of httpx2 for a question asked twenty times a second)."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
