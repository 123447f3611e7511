"""Events of accounts, as far as profiles follow them."""

from __future__ import annotations

from pyairtable_platform.common.events import Event

from .service import UserService

AREAS = ("user",)
GROUP = "users"


class AccountEvents:
    """Makes the profile follow whenever something happened to an account: its state, its address, its name.

    Which event it was does not matter, and that it may have come before neither: auth is asked how things are now.
    """

    def __init__(self, service: UserService) -> None:
        self._service = service

    async def handle(self, event: Event) -> None:
        """Raises Unavailable while auth or PostgreSQL is away: the event comes again."""
        await self._service.follow_account(event.subject, event.occurred_at)
