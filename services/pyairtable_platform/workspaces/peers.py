"""Calls to other services of the installation that are ours and not the caller's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyairtable_platform.common import context
from pyairtable_platform.common.context import CallContext


@contextmanager
def as_installation() -> Iterator[None]:
    """Call without the caller's identity: what only services may ask is refused to everybody who shows a tenant's."""
    now = context.current()
    with context.entered(CallContext(request_id=now.request_id, deadline=now.deadline)):
        yield
