"""What can be done with people's profiles: the rules. No gRPC, no SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput

from . import fields, names
from .records import RESTORABLE, Account, Page, Preferences, Profile, Store, unknown


class Accounts(Protocol):
    """The accounts behind the profiles (peers.Accounts)."""

    async def find(self, user_id: str) -> Account | None: ...

    async def disable(self, user_id: str, key: str) -> None: ...

    async def enable(self, user_id: str, key: str) -> None: ...


class Erasures(Protocol):
    """Starts erasures (peers.Erasures)."""

    async def start(self, user_id: str, principal: str, key: str) -> str: ...


class UserService:
    """Profiles and preferences over a store; accounts change with them."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        erasures: Erasures,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._erasures = erasures
        self._now = now

    async def get(self, user_id: str) -> Profile:
        """A person, deleted or not; raises NotFound."""
        found = await self._store.find([user_id])
        if not found:
            raise unknown(user_id)
        return found[0]

    async def lookup(self, user_ids: Sequence[str]) -> list[Profile]:
        """Those who are known, in no order."""
        return await self._store.find(user_ids)

    async def page(self, search: str, with_deleted: bool, size: int, token: str) -> tuple[Sequence[Profile], str]:
        """A page of people by name, and the token of the next one ("" at the end)."""
        after = names.from_token(token, search, with_deleted) if token else None
        words = names.words(search)
        if search.strip() and not words:
            return [], ""  # signs only: no word begins so
        page: Page = await self._store.page(words, with_deleted, size, after)
        return page.profiles, names.to_token(page.last, search, with_deleted) if page.last else ""

    async def update(self, user_id: str, changes: Mapping[str, Any]) -> Profile:
        """Set fields of a profile (fields.PROFILE); an empty display name becomes the user name."""
        checked = {name: fields.PROFILE[name](value) for name, value in changes.items()}
        async with self._store.locked(user_id) as locked:
            changed = replace(locked.profile, **checked)
            await locked.save(replace(changed, display_name=changed.display_name or changed.user_name))
            return locked.profile

    async def update_preferences(self, user_id: str, changes: Mapping[str, Any]) -> Preferences:
        """Set preferences (fields.PREFERENCES)."""
        checked = {name: fields.PREFERENCES[name](value) for name, value in changes.items()}
        async with self._store.locked(user_id) as locked:
            await locked.save(replace(locked.profile, preferences=replace(locked.profile.preferences, **checked)))
            return locked.profile.preferences

    async def delete(self, user_id: str) -> Profile:
        """Disable a person's account. Of a person who is deleted nothing changes.

        The account first: when auth is away nothing has changed. When our own commit fails after it, the event of the
        disabled account makes the profile follow (`follow_account`).
        """
        async with self._store.locked(user_id) as locked:
            profile = locked.profile
            if profile.deleted_at is None:
                await self._accounts.disable(user_id, key_of_change(profile))
                await locked.save(with_state(profile, self._now()))
            return locked.profile

    async def restore(self, user_id: str) -> Profile:
        """Take a deletion back; raises FailedPrecondition after 30 days. Of a person who is there nothing changes."""
        async with self._store.locked(user_id) as locked:
            profile = locked.profile
            if profile.deleted_at is not None:
                check_restorable(profile.deleted_at, self._now())
                await self._accounts.enable(user_id, key_of_change(profile))
                await locked.save(with_state(profile, None))
            return locked.profile

    async def follow_account(self, user_id: str, at: datetime) -> None:
        """Make a profile say what its account says now, after something happened to it `at` this time.

        Events come late, twice and in any order: what counts is what auth says while nobody else changes the profile.
        """
        if not await self._store.find([user_id]):
            return
        async with self._store.locked(user_id) as locked:
            account = await self._accounts.find(user_id)
            if account is None:
                return  # erased: the saga that did it erases the profile too
            followed = replace(locked.profile, email=account.email, user_name=account.user_name)
            if account.is_disabled != (followed.deleted_at is not None):
                followed = with_state(followed, at if account.is_disabled else None)
            if followed != locked.profile:
                await locked.save(followed)

    async def erase_me(self, user_id: str, confirmed_email: str, principal: str, request_id: str) -> str:
        """Begin to erase a person who asks for it and wrote their address once more; the id of the saga."""
        profile = await self.get(user_id)
        if confirmed_email.strip().casefold() != profile.email.casefold():
            raise InvalidInput.at("confirm_email", "is not the address of your account: write it as it stands there")
        return await self._erasures.start(user_id, principal, key_of_erasure(user_id, request_id))

    async def erase(self, user_id: str, principal: str, request_id: str) -> str:
        """Begin to erase a person; raises NotFound for one of whom there is neither profile nor account."""
        if not await self._store.find([user_id]) and await self._accounts.find(user_id) is None:
            raise unknown(user_id)
        return await self._erasures.start(user_id, principal, key_of_erasure(user_id, request_id))

    async def create(self, profile: Profile, key: str, request: bytes) -> tuple[Profile, bool]:
        """Make a person's profile unless there is one; the profile as it is now, and whether this key made it."""
        made = replace(profile, display_name=fields.display_name(profile.display_name) or profile.user_name)
        created = await self._store.create(made, key, request)
        return await self.get(profile.user_id), created

    async def undo_create(self, user_id: str, key: str) -> bool:
        """Take back what `create` made with a key, and nothing else."""
        return await self._store.undo_create(user_id, key)

    async def export(self, user_id: str) -> dict[str, Any]:
        """What this service keeps about a person, as JSON; empty for somebody who is not known."""
        found = await self._store.find([user_id])
        return exported(found[0]) if found else {}

    async def forget(self, user_id: str, key: str, request: bytes, *, dry_run: bool) -> dict[str, Any]:
        """Erase what this service keeps about a person: how many things of which kind. Nothing can be in its way."""
        if dry_run:
            return {"profiles": 1} if await self._store.find([user_id]) else {}
        return await self._store.erase(user_id, key, request)


def with_state(profile: Profile, deleted_at: datetime | None) -> Profile:
    """The profile after a deletion or a restoration."""
    return replace(profile, deleted_at=deleted_at, changes_of_state=profile.changes_of_state + 1)


def key_of_change(profile: Profile) -> str:
    """The idempotency key of the next deletion or restoration: the same as long as it has not happened."""
    verb = "delete" if profile.deleted_at is None else "restore"
    return f"users:{profile.user_id}:{profile.changes_of_state}:{verb}"


def key_of_erasure(user_id: str, request_id: str) -> str:
    """One for each request: an erasure that was refused can be asked for again when what hindered it is gone."""
    return f"users:{user_id}:erase:{request_id}"[:200]


def check_restorable(deleted_at: datetime, now: datetime) -> None:
    """Raise FailedPrecondition for a deletion that is too old to be taken back."""
    if now - deleted_at > RESTORABLE:
        day = deleted_at.date().isoformat()
        raise FailedPrecondition(
            f"this person was deleted on {day}: a deletion can be taken back for {RESTORABLE.days} days only"
        )


def exported(profile: Profile) -> dict[str, Any]:
    """A profile for its person to read."""
    texts = ("user_id", "email", "user_name", "display_name", "avatar_url", "about", "time_zone", "locale")
    times = {"created_at": profile.created_at, "deleted_at": profile.deleted_at}
    liked = profile.preferences
    return {
        "profile": {name: getattr(profile, name) for name in texts}
        | {name: at.astimezone(UTC).isoformat() for name, at in times.items() if at is not None},
        "preferences": {name: getattr(liked, name) for name in fields.PREFERENCES},
    }
