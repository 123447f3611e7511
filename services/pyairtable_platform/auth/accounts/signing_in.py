"""How people stay in: logging in, refreshing, logging out, and the list of their logins."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pyairtable_platform.common.errors import NotFound, RateLimited, Reason, Unauthenticated

from . import audit, limits, logins, rules, store
from .access_tokens import LIFETIME, sign_access_token
from .audit import Decision
from .desk import TOO_MANY, Desk, now
from .endings import Ended, end_credentials
from .limits import Bucket
from .logins import Refusal, Refused, Rotation
from .records import Account, Login
from .sealing import shown_refresh_token
from .templates import one_line


@dataclass(frozen=True)
class Tokens:
    """What a login shows."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    refresh_expires_at: datetime
    login_id: str


@dataclass(frozen=True)
class _Attempt:
    """Somebody who wants to come in, and was counted."""

    account: Account | None
    network: str
    buckets: Sequence[Bucket]
    decision: Decision


class SigningIn:
    """Logins of people."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def login(self, login: str, password: str, device: str, address: str) -> Tokens:
        """Open a login. Raises Unauthenticated, the same for every reason, and RateLimited."""
        attempt = await self._counted(login, address)
        account = attempt.account
        try:
            is_right = await self._desk.passwords.verify(account.password_hash if account else "", password)
        except RateLimited:
            await self._desk.give_back(*attempt.buckets)
            raise
        reason = why_not(account, is_right)
        if not reason and account is not None:
            rotation = await self._opened(account, attempt, one_line(device), address)
            if rotation is not None:
                await self._rehash(account, password)
                return await self._tokens(rotation)
            reason = "the account changed meanwhile"
        await self._desk.refuse(replace(attempt.decision, reason=reason))
        raise wrong_login()

    async def refresh(self, token: str, address: str) -> Tokens:
        """A new pair for a refresh token. Raises Unauthenticated."""
        decision = Decision("refresh", address=address)
        shown = shown_refresh_token(token)
        await self._desk.signers.current()  # no token is spent while none can be signed
        outcome: Rotation | Refusal = Refusal(Refused.UNKNOWN)
        if shown is not None:
            async with self._desk.transaction() as connection:
                outcome = await logins.rotate(connection, self._desk.secrets, shown, address)
                await audit.record(connection, _decided(decision, outcome))
        else:
            await self._desk.refuse(_decided(decision, outcome))
        if isinstance(outcome, Refusal):
            raise Unauthenticated("the refresh token is not accepted: log in again")
        return await self._tokens(outcome)

    async def logout(self, token: str, address: str) -> None:
        """End the login of a refresh token, spent or not; one that is not known is no error."""
        shown = shown_refresh_token(token)
        if shown is None:
            return
        async with self._desk.transaction() as connection:
            user_id = await logins.belongs(connection, shown)
            if user_id and await logins.end(connection, user_id, "logout", login_id=shown.login_id):
                details = {"login_id": shown.login_id}
                await audit.record(connection, Decision("logout", "", user_id, address, details=details))

    async def list(self, user_id: str) -> list[Login]:
        """The open logins of a person, newest first."""
        async with self._desk.transaction() as connection:
            return await logins.open_logins(connection, user_id)

    async def end(self, user_id: str, login_id: str, address: str) -> None:
        """End one of a person's logins; raises NotFound."""
        async with self._desk.transaction() as connection:
            if not await logins.end(connection, user_id, "ended by its person", login_id=login_id):
                text = f'you have no open login "{login_id}"'
                raise NotFound(text, reason=Reason.LOGIN_NOT_FOUND, login=login_id)
            details = {"login_id": login_id}
            await audit.record(connection, Decision("login_ended", "", user_id, address, details=details))

    async def logout_everywhere(self, user_id: str, address: str, *, revoke_api_keys: bool = False) -> Ended:
        """End all logins of a person, and the API keys if asked."""
        async with self._desk.transaction() as connection:
            # A login that is being opened, or a key that is being made, comes before or after.
            await store.lock(connection, user_id)
            ended = await end_credentials(connection, user_id, "logout everywhere", revoke_api_keys=revoke_api_keys)
            decision = Decision("logout_everywhere", "", user_id, address, details=ended.details())
            await audit.record(connection, decision)
        return ended

    async def _counted(self, login: str, address: str) -> _Attempt:
        """Count an attempt. The same is done, in the same time, whether there is such an account or not."""
        name, network = rules.folded_login(login), rules.network_of(address)
        decision = Decision("login", address=address)
        try:
            async with self._desk.transaction() as connection:
                account = await store.find_by_login(connection, name)
                decision = replace(decision, user_id=account.user_id if account else "")
                is_known = await store.is_known_address(connection, decision.user_id, network)
                buckets = buckets_of(name, network, is_known=is_known)
                await limits.take(connection, buckets)
        except RateLimited:
            await self._desk.refuse(replace(decision, reason=TOO_MANY))
            raise
        return _Attempt(account, network, buckets, decision)

    async def _opened(self, account: Account, attempt: _Attempt, device: str, address: str) -> Rotation | None:
        """A new login, unless the account was disabled or got another password while this one was checked."""
        async with self._desk.transaction() as connection:
            current = await store.lock(connection, account.user_id)
            if current is None or not current.is_active():
                return None
            if current.password_changed_at != account.password_changed_at:
                return None
            rotation = await logins.open_login(connection, account.user_id, device, address)
            await store.know_address(connection, account.user_id, attempt.network)
            await limits.give_back(connection, attempt.buckets)
            details = {"login_id": rotation.login.login_id, "device": device}
            await audit.record(connection, replace(attempt.decision, details=details))
        return rotation

    async def _rehash(self, account: Account, password: str) -> None:
        """Keep a password by the parameters in force now."""
        if not self._desk.passwords.is_outdated(account.password_hash):
            return
        try:
            kept = await self._desk.passwords.hash(password)
        except RateLimited:
            return  # at the next login
        async with self._desk.transaction() as connection:
            current = await store.lock(connection, account.user_id)
            if current is not None and current.password_hash == account.password_hash:
                await store.update(connection, replace(current, password_hash=kept))

    async def _tokens(self, rotation: Rotation) -> Tokens:
        """The pair of a rotation: the same one each time it is asked for."""
        login, signer = rotation.login, await self._desk.signers.current()
        access_token = sign_access_token(
            signer,
            user_id=login.user_id,
            login_id=login.login_id,
            issued_at=rotation.rotated_at,
            jti=hashlib.sha256(rotation.token.sha256()).hexdigest()[:32],
        )
        left = rotation.rotated_at + LIFETIME - now()
        return Tokens(
            access_token, rotation.token.text, max(1, round(left.total_seconds())), login.expires_at, login.login_id
        )


def buckets_of(name: str, network: str, *, is_known: bool) -> Sequence[Bucket]:
    """What counts an attempt to log in. It is the name that is counted, not the account: there may be none."""
    buckets = [limits.LOGIN_FROM_ADDRESS.of(name, network), limits.LOGINS_FROM_ADDRESS.of(network)]
    return buckets if is_known else [*buckets, limits.LOGIN.of(name), limits.LOGIN_FOR_LONG.of(name)]


def why_not(account: Account | None, is_right: bool) -> str:
    """Why somebody may not come in; empty when they may. For the audit only."""
    if account is None:
        return "no such account"
    if not is_right:
        return "wrong password"
    return "" if account.is_active() else f"the account is {account.state}"


def wrong_login() -> Unauthenticated:
    return Unauthenticated("there is no account with this name and password that may log in")


def _decided(decision: Decision, outcome: Rotation | Refusal) -> Decision:
    if isinstance(outcome, Refusal):
        details = {"login_id": outcome.login_id} if outcome.login_id else {}
        return replace(decision, reason=str(outcome.why), user_id=outcome.user_id, details=details)
    return replace(decision, user_id=outcome.login.user_id, details={"login_id": outcome.login.login_id})
