"""What services and administrators do about accounts: finding them, disabling and restoring them, writing to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.auth.api_key_store import keys_go_on, keys_stop
from pyairtable_platform.common import effects
from pyairtable_platform.common.errors import InvalidInput

from . import audit, letters, logins, rules, store, templates
from .audit import Decision
from .desk import Desk, no_account, tell
from .records import Account, State


class Administration:
    """Accounts as others deal with them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

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

    async def send_letter(
        self, user_id: str, email: str, template: str, values: Mapping[str, str], key: str, request: bytes
    ) -> None:
        """Queue a letter to an account or an address, once for a key. Raises NotFound and InvalidInput."""
        async with self._desk.with_letters() as connection:
            await effects.once(
                connection, key, request, lambda: self._send(connection, user_id, email, template, values, key)
            )

    async def _send(
        self,
        connection: AsyncConnection,
        user_id: str,
        email: str,
        template: str,
        values: Mapping[str, str],
        key: str,
    ) -> effects.Answer:
        names: dict[str, str] = {}
        if user_id:
            account = await store.find(connection, user_id)
            if account is None or account.is_erased:
                raise no_account(user_id)
            email, names = account.email, {"display_name": account.display_name, "user_name": account.user_name}
        texts = _needed(template, {**names, **values})
        recipient = rules.valid_email(email)
        await letters.write_to_address(connection, self._desk.secrets, key, template, recipient, texts, user_id)
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
        await tell(connection, "disabled", user_id)
        await audit.record(connection, Decision("account_disabled", user_id=user_id))
    return {}


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
