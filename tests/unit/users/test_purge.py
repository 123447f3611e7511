"""The purge of people who were deleted long ago."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import cast

from pyairtable_platform.common.errors import FailedPrecondition
from pyairtable_platform.users.purge import Purge
from pyairtable_platform.users.records import Deleted
from pyairtable_platform.users.service import Erasures


class ThreePeople:
    """A store with three people to erase."""

    @asynccontextmanager
    async def deleted_before(self, moment: datetime) -> AsyncIterator[list[str]]:
        yield ["u1", "u2", "u3"]


class RefusesOne:
    """Sagas, of which the first person's is refused."""

    async def start(self, user_id: str, principal: str, key: str) -> str:
        if user_id == "u1":
            raise FailedPrecondition("not now")
        return f"saga-of-{user_id}"


async def test_one_who_cannot_be_erased_does_not_keep_the_others() -> None:
    purge = Purge(cast(Deleted, ThreePeople()), cast(Erasures, RefusesOne()))
    assert await purge.purge() == ["saga-of-u2", "saga-of-u3"]
