"""Waiting for what a cluster does in its own time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(attempt: Callable[[], T], *, seconds: float = 60.0, what: str = "") -> T:
    """Repeat an attempt until it returns something true, and return that; fail after so many seconds.

    An AssertionError of the attempt means "not yet", and is what is raised in the end.
    """
    deadline = time.monotonic() + seconds
    while True:
        late: AssertionError | None = None
        try:
            if result := attempt():
                return result
        except AssertionError as error:
            late = error
        if time.monotonic() > deadline:
            raise late or AssertionError(f"waited {seconds:.0f} s in vain{f' for {what}' if what else ''}")
        time.sleep(0.05)
