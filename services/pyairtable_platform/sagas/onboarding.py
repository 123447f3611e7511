"""Starts user_onboarding for everybody who proved their address."""

from __future__ import annotations

from pyairtable_platform.common.events import Event

from .service import Sagas

VERIFIED = "user.verified.v1"


class Onboarding:
    """Handles events of accounts."""

    def __init__(self, sagas: Sagas) -> None:
        self._sagas = sagas

    async def handle(self, event: Event) -> None:
        """Start the saga, once for each event however often it comes. The subject of the event is the user_id."""
        if event.type == VERIFIED:
            given = {"user_id": event.subject}
            await self._sagas.start_for("user_onboarding", given, f"event:{event.event_id}", f"user:{event.subject}")
