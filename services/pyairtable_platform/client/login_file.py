"""Where a login is kept between commands: a file that only its owner can read.

It is replaced in one step, so that a command that is killed leaves the old or the new one. Refresh tokens count once:
who wants to use one holds the lock and reads the file again, for another command may have been quicker.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import CommandError

FILE = "login.json"
LOCK = "login.lock"
FRESH_SECONDS = 30
"""An access token that ends sooner is renewed before it is shown."""


@dataclass(frozen=True)
class Login:
    """A login at one installation. `expires_at` is when the access token ends, in seconds since 1970."""

    url: str
    login_id: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float

    def is_fresh(self) -> bool:
        """Whether the access token counts for a while yet."""
        return self.expires_at - time.time() > FRESH_SECONDS


class LoginFile:
    """The login of a person on this machine, in a folder of their configuration."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / FILE

    def load(self) -> Login | None:
        """The login that is kept; None when there is none."""
        try:
            with self._path.open(encoding="utf-8") as file:
                self._check_private(file.fileno())
                return Login(**json.load(file))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise CommandError(f"{self._path} is no login that this version wrote: delete it and log in") from error
        except OSError as error:
            raise CommandError(f"{self._path} cannot be read: {error.strerror}") from error

    def load_usable(self) -> Login | None:
        """As `load`; None also for a login that cannot be used, when another one takes its place."""
        try:
            return self.load()
        except CommandError:
            return None

    def save(self, login: Login) -> None:
        """Keep a login in the place of the one before."""
        self._make_folder()
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=f".{FILE}.")  # 0600 by itself
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(login), file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except OSError as error:
            Path(name).unlink(missing_ok=True)
            raise CommandError(f"{self._path} cannot be written: {error.strerror}") from error

    def delete(self) -> None:
        """Keep no login any more."""
        self._path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One command at a time; the lock ends with the process, however it ends."""
        self._make_folder()
        handle = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder.chmod(0o700)
        except OSError as error:
            raise CommandError(f"the folder {self._folder} cannot be made: {error.strerror}") from error

    def _check_private(self, handle: int) -> None:
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
            raise CommandError(f"others can read {self._path}: run `chmod 600 {self._path}`, or log in anew")
