"""What a call carries along: request id, workspace, deadline. Set at the border, readable everywhere.

Context variables, because they follow asyncio tasks without passing through every signature.
"""

from __future__ import annotations

import contextvars
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

REQUEST_ID_HEADER = "x-request-id"
API_KEY_HEADER = "x-api-key"

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


@dataclass(frozen=True)
class CallContext:
    """A call in progress. `deadline` is a time of `time.monotonic`, None when there is no limit."""

    request_id: str = ""
    workspace: str = ""
    deadline: float | None = None


_current: contextvars.ContextVar[CallContext] = contextvars.ContextVar("call", default=CallContext())  # noqa: B039 - frozen


def current() -> CallContext:
    """The call this task works for; an empty one outside of calls."""
    return _current.get()


def request_id() -> str:
    """Id that finds this call in the logs of every service; empty outside of calls."""
    return current().request_id


def workspace() -> str:
    """The workspace that the request named; empty when it named none."""
    return current().workspace


def remaining_seconds() -> float | None:
    """Time until the caller gives up, never negative; None without a deadline."""
    deadline = current().deadline
    return None if deadline is None else max(0.0, deadline - time.monotonic())


@contextmanager
def entered(call: CallContext) -> Iterator[None]:
    """Make `call` the current one."""
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)


def accepted_request_id(offered: str | None) -> str:
    """The caller's request id if it is harmless in logs and headers, else a new one."""
    if offered and _SANE_REQUEST_ID.fullmatch(offered):
        return offered
    return uuid.uuid4().hex
