"""Access keys as the service keeps them, and what its store can do. No SQL here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class AccessKey:
    """An access key, without the key. Times are aware."""

    key_id: str
    workspace: str
    name: str
    role: str
    is_declared: bool
    sha256: bytes = field(repr=False)
    created_at: datetime
    workspace_uid: str = ""
    made_by: str = ""
    """Principal; empty: the installation."""
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    is_revoked_for_good: bool = False
    """Revoked by a call: no declaration makes it work again."""
    replaced_by: str | None = None

    @property
    def session(self) -> str:
        return session_of(self.key_id)

    def works_at(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


def session_of(key_id: str) -> str:
    """The claim sid of tokens that are made of an access key."""
    return f"access-key:{key_id}"


@dataclass(frozen=True)
class Declared:
    """A key that somebody else made."""

    key_id: str
    sha256: bytes = field(repr=False)
    expires_at: datetime | None


@dataclass(frozen=True)
class Page:
    """Some keys, newest first, and the key behind which the next page begins (None at the end)."""

    keys: Sequence[AccessKey]
    last: AccessKey | None


class KeysOfWorkspace(Protocol):
    """One workspace's keys in a transaction that no other can enter."""

    async def all(self) -> list[AccessKey]: ...

    async def find_anywhere(self, key_ids: Sequence[str]) -> list[AccessKey]: ...

    async def insert(self, key: AccessKey) -> bool:
        """False when the id is taken."""
        ...

    async def update(self, key: AccessKey) -> None: ...

    async def end(self, key_id: str) -> None:
        """Tell everybody that tokens made of a key do not count any more."""
        ...

    async def restore(self, key_id: str) -> None:
        """Take `end` back."""
        ...

    async def tell(self, what: str, key: AccessKey, principal: str) -> None:
        """Tell others what somebody did to a key (access_key.<what>.v1)."""
        ...


class Store(Protocol):
    """Where keys lie."""

    def workspace(self, name: str) -> AbstractAsyncContextManager[KeysOfWorkspace]: ...

    async def find(self, key_id: str) -> AccessKey | None: ...

    async def page(self, workspace: str, prefix: str, size: int, after: tuple[datetime, str] | None) -> Page: ...

    async def used(self, key_id: str, minute: datetime) -> None: ...
