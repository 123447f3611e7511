"""The rules of the user service over a store and an auth service in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.users.names import sort_name, words_of
from pyairtable_platform.users.records import Account, Page, Place, Profile, unknown
from pyairtable_platform.users.service import UserService

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


def person(user_id: str = "u1", **fields: Any) -> Profile:
    """A person as CreateProfile makes one."""
    profile = Profile(user_id, f"{user_id}@acme.example", user_id, user_id.title(), EPOCH)
    return replace(profile, **fields)


@dataclass
class Locked:
    """Implements records.LockedProfile; `save` counts."""

    profile: Profile
    saves: int = 0

    async def save(self, profile: Profile) -> None:
        self.profile = profile
        self.saves += 1


@dataclass
class FakeStore:
    """Implements records.Store in memory."""

    people: dict[str, Profile] = field(default_factory=dict)
    fails_on_commit: bool = False
    saves: int = 0

    async def find(self, user_ids: Sequence[str]) -> list[Profile]:
        return [self.people[user_id] for user_id in user_ids if user_id in self.people]

    async def page(self, words: Sequence[str], with_deleted: bool, size: int, after: Place | None) -> Page:
        found = sorted(self.people.values(), key=lambda one: (sort_name(one.display_name), one.user_id))
        found = [one for one in found if with_deleted or one.deleted_at is None]
        found = [one for one in found if all(any(own.startswith(w) for own in words_of(one)) for w in words)]
        if after is not None:
            found = [
                one for one in found if (sort_name(one.display_name), one.user_id) > (after.sort_name, after.user_id)
            ]
        last = found[size - 1] if len(found) > size else None
        return Page(found[:size], Place(sort_name(last.display_name), last.user_id) if last else None)

    async def create(self, profile: Profile, key: str, request: bytes) -> bool:
        created = profile.user_id not in self.people
        self.people.setdefault(profile.user_id, profile)
        return created

    async def undo_create(self, user_id: str, key: str) -> bool:
        return self.people.pop(user_id, None) is not None

    @asynccontextmanager
    async def locked(self, user_id: str) -> AsyncIterator[Locked]:
        if user_id not in self.people:
            raise unknown(user_id)
        locked = Locked(self.people[user_id])
        yield locked
        if self.fails_on_commit:
            raise Unavailable("the commit failed")
        self.people[user_id] = locked.profile
        self.saves += locked.saves

    async def erase(self, user_id: str, key: str, request: bytes) -> dict[str, Any]:
        return {"profiles": 1} if self.people.pop(user_id, None) else {}


@dataclass
class FakeAccounts:
    """Accounts in memory, with the keys that came."""

    accounts: dict[str, Account] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    is_away: bool = False

    async def find(self, user_id: str) -> Account | None:
        self._must_be_there()
        return self.accounts.get(user_id)

    async def disable(self, user_id: str, key: str) -> None:
        self._set(user_id, key, is_disabled=True)

    async def enable(self, user_id: str, key: str) -> None:
        self._set(user_id, key, is_disabled=False)

    def _set(self, user_id: str, key: str, *, is_disabled: bool) -> None:
        self._must_be_there()
        self.keys.append(key)
        self.accounts[user_id] = replace(self.accounts[user_id], is_disabled=is_disabled)

    def _must_be_there(self) -> None:
        if self.is_away:
            raise Unavailable("auth is away", dependency="auth")


@dataclass
class FakeErasures:
    """Remembers the erasures that were begun."""

    started: list[tuple[str, str, str]] = field(default_factory=list)

    async def start(self, user_id: str, principal: str, key: str) -> str:
        self.started.append((user_id, principal, key))
        return f"saga-{len(self.started)}"


@dataclass
class Users:
    """The service and what it stands on; `now` can be moved."""

    store: FakeStore
    accounts: FakeAccounts
    erasures: FakeErasures
    now: datetime = EPOCH

    def __post_init__(self) -> None:
        self.service = UserService(self.store, self.accounts, self.erasures, lambda: self.now)

    def add(self, profile: Profile) -> None:
        """A person with an account."""
        self.store.people[profile.user_id] = profile
        account = Account(profile.user_id, profile.email, profile.user_name, profile.deleted_at is not None)
        self.accounts.accounts[profile.user_id] = account

    def wait(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)
