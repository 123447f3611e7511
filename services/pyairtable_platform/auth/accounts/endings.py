"""What ends by a new password and by logging out everywhere: logins, and API keys when it is asked."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.auth.api_key_store import revoke_keys

from . import logins


@dataclass(frozen=True)
class Ended:
    """How many of a person's credentials ended."""

    logins: int
    api_keys: int = 0

    def details(self) -> dict[str, int]:
        """For the audit."""
        return {"ended": self.logins} | ({"revoked_api_keys": self.api_keys} if self.api_keys else {})


async def end_credentials(
    connection: AsyncConnection, user_id: str, why: str, *, but: str = "", revoke_api_keys: bool
) -> Ended:
    """End a person's logins but one, in a transaction that holds the account."""
    ended = await logins.end(connection, user_id, why, but=but)
    return Ended(len(ended), await revoke_keys(connection, user_id) if revoke_api_keys else 0)
