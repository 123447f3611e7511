"""Letters of invitation, sent in the background: an invitation is kept also while the auth service is away.

Each attempt puts a token of its own into the letter, because of earlier ones only hashes are kept. All of them count
until the invitation has ended, so it does not matter which letter arrives.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from sqlalchemy import text

from pyairtable_platform.common.database import EVERY_WORKSPACE
from pyairtable_platform.common.errors import (
    DeadlineExceeded,
    Internal,
    PyAirtableError,
    QuotaExhausted,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from pyairtable_platform.common.wakeups import until_woken
from pyairtable_platform.workspaces.store import WorkspaceStore

from .accounts import Accounts, LetterSender
from .invitation_rows import DISPLAY_NAME
from .tokens import hash_of, new_token

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=10)
_PASSES = (Unavailable, DeadlineExceeded, RateLimited, QuotaExhausted, Internal, Unauthenticated)
"""Faults that are not the letter's: it is tried again."""

# Whoever takes a letter has this long to send it; then another replica tries.
_TAKE = text(
    "UPDATE invitations SET letter_attempts = letter_attempts + 1, "  # noqa: S608 - constants
    "letter_due_at = now() + least(CAST(:first AS interval) * power(2, least(letter_attempts, 20)), "
    "CAST(:longest AS interval)) "
    "WHERE invitation_id = (SELECT invitation_id FROM invitations WHERE letter_due_at <= now() AND state = 'pending' "
    "AND expires_at > now() ORDER BY letter_due_at LIMIT 1 FOR UPDATE SKIP LOCKED) "
    "RETURNING invitation_id, workspace, email, role, invited_by, "
    f"{DISPLAY_NAME} AS display_name"
)
_KEEP_TOKEN = text("INSERT INTO invitation_tokens (hash, invitation_id) VALUES (:hash, :invitation_id)")
_DONE = text("UPDATE invitations SET letter_due_at = NULL WHERE invitation_id = :invitation_id")


class Letters:
    """Sends what waits. `hint` may be called at any time."""

    def __init__(self, store: WorkspaceStore, accounts: Accounts, sender: LetterSender) -> None:
        self._store = store
        self._accounts = accounts
        self._sender = sender
        self._hinted = asyncio.Event()

    def hint(self) -> None:
        """A letter waits."""
        self._hinted.set()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            self._hinted.clear()
            try:
                while await self.send_one():
                    pass
            except Unavailable as error:
                log.debug("letters wait", extra={"cause": error.message})
            await until_woken(self._hinted, LOOK_SECONDS)

    async def send_one(self) -> bool:
        """Send the letter that waits longest; whether there was one."""
        token = new_token()
        async with self._store.transaction(EVERY_WORKSPACE) as connection:  # whosever letter is due
            row = (await connection.execute(_TAKE, {"first": _FIRST_PAUSE, "longest": _LONGEST_PAUSE})).first()
            if row is None:
                return False
            # Before it is sent: who opens the letter at once must find it.
            await connection.execute(_KEEP_TOKEN, {"hash": hash_of(token), "invitation_id": row.invitation_id})
        values = {
            "workspace": row.workspace,
            "display_name": row.display_name,
            "role": row.role,
            "token": token,
        }
        if await self._sent(row.invitation_id, row.email, row.invited_by, values):
            async with self._store.transaction(EVERY_WORKSPACE) as connection:
                await connection.execute(_DONE, {"invitation_id": row.invitation_id})
        return True

    async def _sent(self, invitation_id: str, email: str, invited_by: str, values: dict[str, str]) -> bool:
        """Whether nothing is left to do for this letter."""
        try:
            # Who reads it knows people by their addresses.
            inviter = next((account.email for account in await self._accounts.of_ids([invited_by])), "")
            values = {**values, "invited_by": inviter}
            await self._sender.send_invitation(email, invited_by, values, f"invitation:{invitation_id}")
        except _PASSES as error:
            facts = {"invitation": invitation_id, "cause": error.message}
            log.warning("a letter of invitation will be sent later", extra=facts)
            return False
        except PyAirtableError as error:
            facts = {"invitation": invitation_id, "cause": error.message}
            log.error("a letter of invitation is refused, and not tried again", extra=facts)
        return True
