"""What sagas keep about a person: to read it, and to make it nobody's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pyairtable_platform.common.errors import Conflict, Reason

from .model import Saga
from .store import SagaStore

ERASURE = "person_erasure"
Forget = Callable[[list[tuple[str, int]]], Awaitable[None]]
"""Deletes what the engine remembers of sagas that have ended: (id, last run) of each (engine.forget)."""


class People:
    """A person's sagas: those they started, and those about them."""

    def __init__(self, store: SagaStore, forget: Forget) -> None:
        self._store = store
        self._forget = forget

    async def export(self, user_id: str) -> list[dict[str, Any]]:
        """For the person to read."""
        return [exported(saga) for saga in await self._store.of_person(user_id)]

    async def check(self, user_id: str) -> int:
        """How many sagas there are; raises Conflict while one is in progress."""
        await self._require_ended(user_id)
        return len(await self._store.of_person(user_id))

    async def erase(self, user_id: str) -> int:
        """Make them nobody's; how many. The erasure itself, which is one of them, forgets whom it was about at its end.

        Raises Conflict while another is in progress: it needs to know about whom it is.
        """
        await self._require_ended(user_id)
        ended = [(saga.saga_id, saga.run) for saga in await self._store.of_person(user_id) if saga.state.has_ended]
        await self._forget(ended)  # first: afterwards nobody could tell whose they were
        return await self._store.make_nobodys(user_id)

    async def _require_ended(self, user_id: str) -> None:
        found = await self._store.in_progress_of_person(user_id, but=ERASURE)
        if found is not None:
            saga_id, name = found
            text = f"saga {saga_id} ({name}) of this person is in progress: wait for its end, or cancel it"
            raise Conflict(text, reason=Reason.CONFLICT, saga=saga_id)


def exported(saga: Saga) -> dict[str, Any]:
    """A saga as JSON."""
    return {
        "saga_id": saga.saga_id,
        "type": saga.type,
        "state": str(saga.state),
        "workspace": saga.workspace,
        "input": saga.input,
        "output": saga.output or {},
        "created_at": saga.created_at.isoformat(),
        "ended_at": saga.ended_at.isoformat() if saga.ended_at else "",
    }
