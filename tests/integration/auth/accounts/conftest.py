"""Two replicas over a database of their own, and a mail server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from integration.auth.accounts.desks import MailServer, Replica, mail_server, replica_over


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[tuple[Replica, Replica]]:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(replica_over(database_url))
        yield first, await stack.enter_async_context(replica_over(database_url, mailbox=first.mailbox))


@pytest.fixture
def auth(replicas: tuple[Replica, Replica]) -> Replica:
    return replicas[0]


@pytest.fixture
def other(replicas: tuple[Replica, Replica]) -> Replica:
    return replicas[1]


@pytest.fixture
def server() -> Iterator[tuple[MailServer, int]]:
    """A mail server that speaks SMTP, and its port."""
    with mail_server() as opened:
        yield opened
