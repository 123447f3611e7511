"""New passwords: with the old one, or with the token from a letter. Each ends other logins and is told by letter."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.common.errors import InvalidInput

from . import audit, letters, limits, logins, rules, store, templates
from .audit import Decision
from .desk import Desk, no_account, now
from .passwords import check_password, own_texts
from .records import Account, State
from .registration import letter_token_invalid


class PasswordChanges:
    """Changing and resetting passwords."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def change(self, user_id: str, login_id: str, current: str, new: str, address: str) -> int:
        """Set a new password; how many other logins ended. Raises InvalidInput for a wrong or a weak one."""
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
            ended = await self._set(connection, fresh, kept, but=login_id)
            await limits.give_back(connection, [bucket])
            await audit.record(connection, replace(decision, details={"ended": len(ended)}))
        return len(ended)

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

    async def reset(self, token: str, new: str, address: str) -> None:
        """Set a new password with the token from a letter; ends all logins. Raises InvalidInput."""
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
            is_done = await self._reset(connection, account.user_id, token, kept, replace(decision), network)
        if not is_done:
            await self._desk.refuse(replace(decision, reason="the token does not count", user_id=account.user_id))
            raise letter_token_invalid()

    async def _proved(self, account: Account, current: str, new: str, decision: Decision) -> str:
        """The new password as it is kept, once the current one was proved."""
        if not await self._desk.passwords.verify(account.password_hash, current):
            await self._desk.refuse(replace(decision, reason="wrong password"))
            raise wrong_password()
        return await self._desk.passwords.hash(new)

    async def _reset(
        self, connection: AsyncConnection, user_id: str, token: str, kept: str, decision: Decision, network: str
    ) -> bool:
        account = await store.lock(connection, user_id)
        if account is None or not account.is_active() or not await letters.redeem(connection, letters.RESET, token):
            return False
        ended = await self._set(connection, account, kept)
        # Whoever reads the letters of the account is its owner, wherever they are: let them in now.
        await store.know_address(connection, user_id, network)
        names = (account.email_folded, account.user_name_folded)
        await limits.forget(connection, [limits.LOGIN_FROM_ADDRESS.of(name, network) for name in names])
        await audit.record(connection, replace(decision, user_id=user_id, details={"ended": len(ended)}))
        return True

    async def _set(self, connection: AsyncConnection, account: Account, kept: str, but: str = "") -> list[str]:
        """Put a new password in force; the ids of the logins that end by it."""
        await store.update(connection, replace(account, password_hash=kept, password_changed_at=now()))
        await letters.end_tokens(connection, account.user_id, letters.RESET)
        await letters.write(connection, self._desk.secrets, templates.PASSWORD_CHANGED, account)
        return await logins.end(connection, account.user_id, "new password", but=but)


def wrong_password() -> InvalidInput:
    return InvalidInput.at("current_password", "is not the one in force")


async def _of_token(connection: AsyncConnection, token: str) -> Account | None:
    """Whose password a token may set now."""
    user_id = await letters.whose(connection, letters.RESET, token)
    account = await store.find(connection, user_id) if user_id else None
    return account if account and account.is_active() else None
