"""One person's data here: given to them, or erased. What others need (the audit) becomes nobody's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.auth.api_key_store import erase_keys
from pyairtable_platform.auth.departures import forget_maker, tell_of_access_keys
from pyairtable_platform.common import effects
from pyairtable_platform.common.database import EVERY_WORKSPACE, enter_workspace

from . import audit, letters, limits, logins, store
from .audit import Decision
from .desk import Desk, tell
from .records import Account, State

_MOST_EVENTS = 1000


class PersonalData:
    """Exports and erases what auth keeps about a person."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def export(self, user_id: str) -> dict[str, Any]:
        """Named parts, with times as texts; empty for nobody. Never a secret or a hash of one."""
        async with self._desk.transaction() as connection:
            account = await store.find(connection, user_id)
            if account is None or account.is_erased:
                return {}
            opened = await logins.open_logins(connection, user_id)
            addresses = await store.known_addresses(connection, user_id)
            written = await letters.of_person(connection, user_id)
        events, _ = await audit.page(self._desk.engine, user_id=user_id, size=_MOST_EVENTS)
        return {
            "account": _account(account),
            "logins": [_plain(login, "login_id", "device", "address", "created_at", "used_at") for login in opened],
            "known_addresses": [_plain(row, "address", "used_at") for row in addresses],
            "letters": [_plain(row, "template", "state", "created_at", "sent_at") for row in written],
            "audit": [_plain(event, "occurred_at", "action", "outcome", "reason", "address") for event in events],
        }

    async def erase(self, user_id: str, key: str, request: bytes) -> dict[str, int]:
        """Erase a person, once for a key; how many things of which kind."""
        async with self._desk.transaction() as connection:
            return await effects.once(connection, key, request, lambda: self._erase(connection, user_id))

    async def would_erase(self, user_id: str) -> dict[str, int]:
        """What `erase` would find now."""
        async with self._desk.transaction() as connection:
            account = await store.find(connection, user_id)
            if account is None or account.is_erased:
                return {}
            return {"accounts": 1, "logins": len(await logins.open_logins(connection, user_id))}

    async def _erase(self, connection: AsyncConnection, user_id: str) -> effects.Answer:
        account = await store.lock(connection, user_id)
        if account is None or account.is_erased:
            return {}
        await logins.end(connection, user_id, "account erased")
        erased = {
            "accounts": 1,
            "logins": await logins.delete(connection, user_id),
            "api_keys": await erase_keys(connection, user_id),
            "known_addresses": await store.forget_addresses(connection, user_id),
            "letters": await letters.disown(connection, user_id),
        }
        await enter_workspace(connection, EVERY_WORKSPACE)  # a person's decisions are about many workspaces
        if account.state is not State.DISABLED:  # else it was told then
            await tell_of_access_keys(connection, user_id)
        await forget_maker(connection, user_id)
        erased["audit"] = await audit.disown(connection, user_id)
        await limits.forget(connection, [limits.PASSWORD_OF_PERSON.of(user_id)])
        await store.update(connection, _nobody(account))
        await tell(connection, "erased", user_id)
        await audit.record(connection, Decision("account_erased"))
        return erased


def _nobody(account: Account) -> Account:
    """What is left of an erased account: its id, which is never used again."""
    return replace(
        account,
        email="",
        email_folded=f"erased:{account.user_id}",
        user_name="",
        user_name_folded=f"erased:{account.user_id}",
        display_name="",
        password_hash="",
        state=State.DISABLED,
        verified_at=None,
        is_erased=True,
    )


def _account(account: Account) -> dict[str, Any]:
    names = ("user_id", "email", "user_name", "display_name", "created_at", "verified_at", "password_changed_at")
    return {**_plain(account, *names), "state": str(account.state)}


def _plain(thing: Any, *names: str) -> dict[str, Any]:
    """Attributes as JSON: times are RFC 3339 texts."""
    values = {name: getattr(thing, name) for name in names}
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in values.items()}
