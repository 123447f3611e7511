"""What services and administrators do about accounts: finding them, disabling and restoring them, writing to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.auth.api_key_store import keys_go_on, keys_stop
from pyairtable_platform.auth.departures import tell_of_access_keys
from pyairtable_platform.common import effects
from pyairtable_platform.common.errors import InvalidInput

from . import audit, letters, limits, logins, rules, store, templates
from .audit import Decision
from .desk import Desk, no_account, tell
from .records import Account, State


class Wishes(Protocol):
    """Who knows which letters people want."""

    async def wants_invitations(self, user_id: str) -> bool: ...


@dataclass(frozen=True)
class LetterWanted:
    """A letter that a service asks for: to an account or to an address. `sent_by` is the user_id of who writes."""

    template: str
    values: Mapping[str, str]
    user_id: str = ""
    email: str = ""
    sent_by: str = ""


class Administration:
    """Accounts as others deal with them."""

    def __init__(self, desk: Desk, wishes: Wishes) -> None:
        self._desk = desk
        self._wishes = wishes

    def is_admin(self, account: Account) -> bool:
        """Whether the person administers this installation."""
        return account.is_admin(self._desk.admins)

    async def find(self, user_id: str) -> Account:
        """An account by id; raises NotFound."""
        async with self._desk.transaction() as connection:
            account = await store.find(connection, user_id)
        if account is None or account.is_erased:
            raise no_account(user_id)
        return account

    async def lookup(self, user_ids: Sequence[str], emails: Sequence[str]) -> list[Account]:
        """Accounts by id or address; what is none is left out."""
        folded = [email for email in map(_folded_or_none, emails) if email]
        async with self._desk.transaction() as connection:
            return await store.lookup(connection, user_ids, folded)

    async def set_state(self, user_id: str, is_enabled: bool, key: str, request: bytes) -> Account:
        """Let an account log in or not; repeating it changes nothing. Raises NotFound."""
        async with self._desk.transaction() as connection:
            if key:
                await effects.once(connection, key, request, lambda: _set_state(connection, user_id, is_enabled))
            else:
                await _set_state(connection, user_id, is_enabled)
            account = await store.find(connection, user_id)
        if account is None:
            raise no_account(user_id)
        return account

    async def send_letter(self, wanted: LetterWanted, key: str, request: bytes) -> None:
        """Queue a letter, once for a key, if its person wants it. Raises NotFound, InvalidInput and RateLimited."""
        is_wished = await self._is_wished(wanted)
        async with self._desk.with_letters() as connection:
            await effects.once(connection, key, request, lambda: self._send(connection, wanted, key, is_wished))

    async def _is_wished(self, wanted: LetterWanted) -> bool:
        if wanted.template != templates.INVITATION:
            return True
        async with self._desk.transaction() as connection:
            found = await store.lookup(connection, [wanted.user_id], [_folded_or_none(wanted.email)])
        return not found or await self._wishes.wants_invitations(found[0].user_id)

    async def _send(
        self, connection: AsyncConnection, wanted: LetterWanted, key: str, is_wished: bool
    ) -> effects.Answer:
        email, names = wanted.email, {}
        if wanted.user_id:
            account = await store.find(connection, wanted.user_id)
            if account is None or account.is_erased:
                raise no_account(wanted.user_id)
            email, names = account.email, {"display_name": account.display_name, "user_name": account.user_name}
        texts = _needed(wanted.template, {**names, **wanted.values})
        recipient = rules.valid_email(email)
        if is_wished and await _is_counted(connection, wanted, rules.folded_email(recipient)):
            await letters.write_to_address(
                connection, self._desk.secrets, key, wanted.template, recipient, texts, wanted.user_id
            )
        return {}


async def _set_state(connection: AsyncConnection, user_id: str, is_enabled: bool) -> effects.Answer:
    account = await store.lock(connection, user_id)
    if account is None or account.is_erased:
        raise no_account(user_id)
    if is_enabled and account.state is State.DISABLED:
        # Whose address was never proved has to prove it still.
        restored = replace(account, state=State.ACTIVE if account.verified_at else State.UNVERIFIED)
        await store.update(connection, restored)
        await keys_go_on(connection, user_id)
        await tell(connection, "restored", user_id)
        await audit.record(connection, Decision("account_restored", user_id=user_id))
    elif not is_enabled and account.state is not State.DISABLED:
        await store.update(connection, replace(account, state=State.DISABLED))
        await logins.end(connection, user_id, "account disabled")
        await letters.end_tokens(connection, user_id, letters.VERIFY)
        await letters.end_tokens(connection, user_id, letters.RESET)
        await keys_stop(connection, user_id)
        await tell_of_access_keys(connection, user_id)
        await tell(connection, "disabled", user_id)
        await audit.record(connection, Decision("account_disabled", user_id=user_id))
    return {}


async def _is_counted(connection: AsyncConnection, wanted: LetterWanted, folded: str) -> bool:
    """Count a letter; False for one too many. An invitation one too many raises RateLimited: it can wait."""
    if wanted.template != templates.INVITATION:
        return await limits.is_taken(connection, limits.LETTERS_TO.of(folded))
    by = [limits.INVITATIONS_BY.of(wanted.sent_by)] if wanted.sent_by else []
    await limits.take(connection, [limits.INVITATIONS_TO.of(folded), *by])
    return True


def _needed(template: str, values: Mapping[str, str]) -> dict[str, str]:
    """The values that a letter needs, and no others; raises InvalidInput when some are missing."""
    if absent := templates.missing_values(template, values):
        raise InvalidInput.at("values", f"the letter {template} also needs {', '.join(absent)}")
    return {name: templates.one_line(values[name]) for name in templates.TEMPLATES[template].required}


def _folded_or_none(email: str) -> str:
    try:
        return rules.folded_email(email)
    except InvalidInput:
        return ""
