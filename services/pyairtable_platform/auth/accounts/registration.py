"""How people come in: registering, and proving their address."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.common.errors import InvalidInput, RateLimited, Reason

from . import audit, letters, limits, rules, store, templates
from .audit import Decision
from .desk import Desk, now, tell
from .passwords import check_password, own_texts
from .records import Account, State

_SUFFIX_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_SUFFIX_LENGTH = 5


@dataclass(frozen=True)
class Wanted:
    """A registration that keeps the rules."""

    email: str
    user_name: str
    display_name: str


class Registration:
    """Registering and proving addresses. No answer tells whether an address or a name has an account."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def register(self, email: str, user_name: str, password: str, display_name: str, address: str) -> None:
        """Make an account that waits for its address to be proved, or tell the owner of the one that is there."""
        wanted = checked(email, user_name, display_name)
        check_password(password, *own_texts(wanted.email, wanted.user_name, wanted.display_name))
        bucket = limits.REGISTRATIONS.of(rules.network_of(address))
        await self._desk.count(Decision("register", address=address), bucket)
        try:
            is_repeat = await self._is_repeat(rules.folded_email(wanted.email), password)
            kept = await self._desk.passwords.hash(password)
        except RateLimited:
            await self._desk.give_back(bucket)
            raise
        async with self._desk.with_letters() as connection:
            await self._put(connection, wanted, kept, address, is_repeat=is_repeat)

    async def verify(self, token: str, address: str) -> Account:
        """The account whose address the token proves; raises InvalidInput for a token that does not count."""
        decision = Decision("verify_email", address=address)
        await self._desk.count(decision, limits.TOKENS_SHOWN.of(rules.network_of(address)))
        async with self._desk.with_letters() as connection:
            account = await self._verified(connection, token, address)
        if account is None:
            await self._desk.refuse(replace(decision, reason="the token does not count"))
            raise letter_token_invalid()
        return account

    async def resend(self, email: str, address: str) -> None:
        """Send the letter again, to an address that has an account which waits for it."""
        folded = rules.folded_email(email)
        decision = Decision("resend_verification", address=address)
        await self._desk.count(decision, limits.LETTERS_ASKED.of(rules.network_of(address)))
        async with self._desk.with_letters() as connection:
            is_wanted = await limits.is_taken(connection, limits.LETTERS_TO.of(folded))
            account = await store.lock_by_email(connection, folded)
            to = account if account and account.state is State.UNVERIFIED else None
            await letters.write_with_token(connection, self._desk.secrets, letters.VERIFY, to, is_wanted=is_wanted)
            await audit.record(connection, replace(decision, user_id=account.user_id if account else ""))

    async def _is_repeat(self, folded: str, password: str) -> bool:
        """Whether an address that waits to be proved was registered with this very password. Takes the same time for
        every address."""
        async with self._desk.transaction() as connection:
            known = await store.find_by_login(connection, folded)
        kept = known.password_hash if known is not None and known.state is State.UNVERIFIED else ""
        return await self._desk.passwords.verify(kept, password)

    async def _put(
        self, connection: AsyncConnection, wanted: Wanted, kept: str, address: str, *, is_repeat: bool
    ) -> None:
        folded = rules.folded_email(wanted.email)
        await store.lock_names(connection)
        is_wanted = await limits.is_taken(connection, limits.LETTERS_TO.of(folded))
        if not is_repeat:
            # Of two who register one address nobody can tell whose it is, and its owner opens the letter of either.
            await store.forget_unproved_password(connection, folded)
        known = await store.lock_by_email(connection, folded)
        if known is None or (known.state is State.UNVERIFIED and is_wanted):
            account = await _fresh(connection, wanted, folded, kept, known)
        else:
            account = known
        if known is None:
            await store.insert(connection, account)
            await tell(connection, "registered", account.user_id)
        else:
            # One that is in use is written back as it was: the same work for all.
            await store.update(connection, account)
        if account.state is State.UNVERIFIED:
            await letters.write_with_token(connection, self._desk.secrets, letters.VERIFY, account, is_wanted=is_wanted)
            reason = ""
        else:
            await letters.write_with_token(connection, self._desk.secrets, letters.VERIFY, None)
            to = account if account.is_active() else None
            template = templates.ALREADY_REGISTERED
            await letters.write(connection, self._desk.secrets, template, to, is_wanted=is_wanted)
            reason = "the address has an account"
        await audit.record(connection, Decision("register", reason, account.user_id, address))

    async def _verified(self, connection: AsyncConnection, token: str, address: str) -> Account | None:
        # The account before the token, as everywhere: two that lock both must not wait for each other.
        user_id = await letters.whose(connection, letters.VERIFY, token)
        account = await store.lock(connection, user_id) if user_id else None
        if account is None or account.state is not State.UNVERIFIED:
            return None
        if not await letters.redeem(connection, letters.VERIFY, token):
            return None
        account = replace(account, state=State.ACTIVE, verified_at=now())
        await store.update(connection, account)
        if not account.password_hash:
            await letters.write_with_token(connection, self._desk.secrets, letters.RESET, account)
        await tell(connection, "verified", user_id)
        await audit.record(connection, Decision("verify_email", user_id=user_id, address=address))
        return account


def checked(email: str, user_name: str, display_name: str) -> Wanted:
    """What somebody wants to register, if it keeps the rules; raises InvalidInput."""
    email = rules.valid_email(email)
    name = rules.valid_user_name(user_name) if user_name.strip() else rules.user_name_from(email)
    return Wanted(email, name, rules.valid_display_name(display_name) or name)


def letter_token_invalid() -> InvalidInput:
    text = "is not known, was used or has expired: ask for another letter"
    return InvalidInput.at("token", text, reason=Reason.LETTER_TOKEN_INVALID)


async def _fresh(connection: AsyncConnection, wanted: Wanted, folded: str, kept: str, known: Account | None) -> Account:
    """A new account, or what the newest registration makes of one whose address is not proved.

    Only the token of the newest letter counts, so nothing changes when no letter can be sent. An address that was
    registered with two passwords has none: whoever proves it gets a letter to set one.
    """
    user_id = known.user_id if known else uuid.uuid4().hex
    name = await _free_name(connection, wanted.user_name, user_id)
    return Account(
        user_id=user_id,
        email=wanted.email,
        email_folded=folded,
        user_name=name,
        user_name_folded=rules.folded(name),
        display_name=wanted.display_name,
        password_hash=known.password_hash if known else kept,
        state=State.UNVERIFIED,
        created_at=known.created_at if known else now(),
        password_changed_at=now(),
    )


async def _free_name(connection: AsyncConnection, name: str, user_id: str) -> str:
    """A user name, or one like it when it is another's: an answer that it is taken would tell who has an account."""
    free = name
    while await store.is_name_taken(connection, rules.folded(free), user_id):
        suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))
        free = rules.with_suffix(name, suffix)
    return free
