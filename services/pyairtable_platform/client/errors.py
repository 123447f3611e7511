"""What goes wrong for a person at the command line: one sentence with what helps."""

from __future__ import annotations


class CommandError(Exception):
    """Told to the person as it is; the command ends with exit status 1."""


class Refused(CommandError):
    """The installation said no. `status` is HTTP's, `reason` one of docs/errors.md (empty when it gave none)."""

    def __init__(self, message: str, status: int, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class NotLoggedIn(CommandError):
    """Nobody is logged in, or not any more."""

    def __init__(self, why: str = "nobody is logged in") -> None:
        super().__init__(f"{why}: run `pyairtable-platform login`")
