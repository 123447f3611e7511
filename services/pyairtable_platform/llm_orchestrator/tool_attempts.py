"""One tool call, made again while its server is away; for calls that may write, what is not known is said."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from pyairtable_platform.common.errors import (
    Cancelled,
    DeadlineExceeded,
    OutcomeUnknown,
    PyAirtableError,
    Reason,
    Unavailable,
)

from .ports import ToolCall, ToolServer

_ATTEMPTS_TO_READ = 3
_FIRST_DELAY, _LONGEST_DELAY = 0.3, 4.0  # seconds
_LOST = {Reason.DEPENDENCY_UNAVAILABLE, Reason.RUN_CANCELLED}
"""Nobody knows how far the call came: the connection broke, or a server that shuts down cancelled it."""


async def call_tool(server: ToolServer, request: ToolCall, *, may_write: bool, patience: float) -> dict[str, Any]:
    """Call the tool; again when the server was away: the key keeps it from writing twice.

    A call that may write is tried again for `patience` seconds. When its answer is lost for good, OutcomeUnknown is
    raised, because the write may have happened in any of the attempts.
    """
    give_up: float | None = None
    attempt = 0
    while True:
        try:
            return await _attempt(server, request)
        except DeadlineExceeded as error:
            if may_write:
                raise _unknown(request, error) from error
            raise
        except (Unavailable, Cancelled) as error:
            if error.reason not in _LOST:
                if may_write and give_up is not None:  # the attempt before may have written
                    raise _unknown(request, error) from error
                raise
            give_up = time.monotonic() + patience if give_up is None else give_up
            delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2**attempt)
            attempt += 1
            if may_write and time.monotonic() + delay >= give_up:
                raise _unknown(request, error) from error
            if not may_write and attempt == _ATTEMPTS_TO_READ:
                raise
        await asyncio.sleep(delay)


async def _attempt(server: ToolServer, request: ToolCall) -> dict[str, Any]:
    try:
        async with asyncio.timeout(request.timeout):
            return await server.call(request)
    except TimeoutError as error:
        if isinstance(error, DeadlineExceeded):
            raise
        raise DeadlineExceeded(f"{request.name} did not answer within {request.timeout:.0f} s") from error


def _unknown(request: ToolCall, error: PyAirtableError) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"no answer came from {request.name} ({error.message}): {request.name} may or may not have happened; "
        "look before repeating it"
    )
