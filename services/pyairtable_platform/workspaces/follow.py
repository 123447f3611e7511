"""Keeps this replica's copy of the registry current: at once when PostgreSQL notifies, and every few seconds anyway."""

from __future__ import annotations

import asyncio
import logging

from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.wakeups import until_woken

from .service import Registry

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How long a change may go unnoticed when its notification was lost."""
RETRY_SECONDS = 0.5


class Follower:
    """Refreshes a registry. `hint` may be called at any time."""

    def __init__(self, registry: Registry, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._registry = registry
        self._look_seconds = look_seconds
        self._hinted = asyncio.Event()

    def hint(self, _: str = "") -> None:
        """Something has changed, or may have been missed."""
        self._hinted.set()

    async def run(self) -> None:
        """Follow for ever. While the store is away the last copy stays in force."""
        is_away = False
        while True:
            self._hinted.clear()
            try:
                await self._registry.refresh()
                is_away = False
            except Unavailable as error:
                if not is_away:
                    log.warning(
                        "the registry's store is away: its last state stays in force", extra={"cause": error.message}
                    )
                is_away = True
            await until_woken(self._hinted, RETRY_SECONDS if is_away else self._look_seconds)
