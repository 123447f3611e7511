"""New passwords: with the old one, or with the token from a letter. Each ends other logins and is told by letter.

By letter they end the person's API keys too, if the person does not say otherwise: somebody who was robbed of the
account cannot know which keys the thief has made.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.common.errors import InvalidInput

from . import audit, letters, limits, rules, store, templates
from .audit import Decision
from .desk import Desk, no_account, now
from .endings import Ended, end_credentials
from .passwords import check_password, own_texts
from .records import Account, State
from .registration import letter_token_invalid


class PasswordChanges:
    """Changing and resetting passwords."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def change(
        self, user_id: str, login_id: str, current: str, new: str, address: str, *, revoke_api_keys: bool = False
    ) -> Ended:
        """Set a new password; ends all other logins. Raises InvalidInput for a wrong or a weak one."""
        decision = Decision("change_password", "", user_id, address)
        bucket = limits.PASSWORD_OF_PERSON.of(user_id)
        await self._desk.count(decision, bucket)
        async with self._desk.transaction() as connection:
            account = await store.find(connection, user_id)
        if account is None:
            raise no_account(user_id)
        check_password(new, *own_texts(account.email, account.user_name, account.display_name), field="new_password")
        kept = await self._proved(account, current, new, decision)
        async with self._desk.with_letters() as connection:
            fresh = await store.lock(connection, user_id)
            if fresh is None or fresh.password_changed_at != account.password_changed_at:
                raise wrong_password()
            ended = await self._set(connection, fresh, kept, but=login_id, revoke_api_keys=revoke_api_keys)
            await limits.give_back(connection, [bucket])
            await audit.record(connection, replace(decision, details=ended.details()))
        return ended

    async def request_reset(self, email: str, address: str) -> None:
        """Send a letter with a token, to an address that has an account."""
        folded = rules.folded_email(email)
        decision = Decision("request_password_reset", address=address)
        await self._desk.count(decision, limits.LETTERS_ASKED.of(rules.network_of(address)))
        async with self._desk.with_letters() as connection:
            is_wanted = await limits.is_taken(connection, limits.LETTERS_TO.of(folded))
            # Whoever asks does not know the password, so that it may be a stranger's.
            await store.forget_unproved_password(connection, folded)
            account = await store.lock_by_email(connection, folded)
            # Somebody whose address is not proved yet proves it first, and gets a letter to set a password then.
            purpose = letters.VERIFY if account and account.state is State.UNVERIFIED else letters.RESET
            to = account if account and account.state is not State.DISABLED else None
            await letters.write_with_token(connection, self._desk.secrets, purpose, to, is_wanted=is_wanted)
            await audit.record(connection, replace(decision, user_id=account.user_id if account else ""))

    async def reset(self, token: str, new: str, address: str, *, revoke_api_keys: bool = True) -> Ended:
        """Set a new password with the token from a letter; ends all logins and API keys. Raises InvalidInput."""
        network, decision = rules.network_of(address), Decision("reset_password", address=address)
        await self._desk.count(decision, limits.TOKENS_SHOWN.of(network))
        async with self._desk.transaction() as connection:
            account = await _of_token(connection, token)
        if account is None:
            await self._desk.refuse(replace(decision, reason="the token does not count"))
            raise letter_token_invalid()
        check_password(new, *own_texts(account.email, account.user_name, account.display_name), field="new_password")
        kept = await self._desk.passwords.hash(new)
        async with self._desk.with_letters() as connection:
            fresh = await self._redeemed(connection, account.user_id, token)
            if fresh is not None:
                ended = await self._set(connection, fresh, kept, revoke_api_keys=revoke_api_keys)
                await self._let_in(connection, fresh, network)
                decision = replace(decision, user_id=fresh.user_id)
                await audit.record(connection, replace(decision, details=ended.details()))
                return ended
        await self._desk.refuse(replace(decision, reason="the token does not count", user_id=account.user_id))
        raise letter_token_invalid()

    async def _proved(self, account: Account, current: str, new: str, decision: Decision) -> str:
        """The new password as it is kept, once the current one was proved."""
        if not await self._desk.passwords.verify(account.password_hash, current):
            await self._desk.refuse(replace(decision, reason="wrong password"))
            raise wrong_password()
        return await self._desk.passwords.hash(new)

    async def _redeemed(self, connection: AsyncConnection, user_id: str, token: str) -> Account | None:
        """The account, locked, once its token was used up; None when it does not count any more."""
        account = await store.lock(connection, user_id)
        if account is None or not account.is_active() or not await letters.redeem(connection, letters.RESET, token):
            return None
        return account

    async def _let_in(self, connection: AsyncConnection, account: Account, network: str) -> None:
        """Whoever reads the letters of the account is its owner, wherever they are."""
        await store.know_address(connection, account.user_id, network)
        names = (account.email_folded, account.user_name_folded)
        await limits.forget(connection, [limits.LOGIN_FROM_ADDRESS.of(name, network) for name in names])

    async def _set(
        self, connection: AsyncConnection, account: Account, kept: str, *, but: str = "", revoke_api_keys: bool
    ) -> Ended:
        """Put a new password in force, and tell its person what ended by it."""
        await store.update(connection, replace(account, password_hash=kept, password_changed_at=now()))
        await letters.end_tokens(connection, account.user_id, letters.RESET)
        ended = await end_credentials(
            connection, account.user_id, "new password", but=but, revoke_api_keys=revoke_api_keys
        )
        keys = templates.KEYS_REVOKED if revoke_api_keys else templates.KEYS_KEPT
        await letters.write(connection, self._desk.secrets, templates.PASSWORD_CHANGED, account, keys=keys)
        return ended


def wrong_password() -> InvalidInput:
    return InvalidInput.at("current_password", "is not the one in force")


async def _of_token(connection: AsyncConnection, token: str) -> Account | None:
    """Whose password a token may set now."""
    user_id = await letters.whose(connection, letters.RESET, token)
    account = await store.find(connection, user_id) if user_id else None
    return account if account and account.is_active() else None
