"""People as the service keeps them, and what its store can do. No SQL here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from pyairtable_platform.common.errors import NotFound, Reason

RESTORABLE = timedelta(days=30)
"""How long a deletion can be taken back."""


@dataclass(frozen=True)
class Preferences:
    """What a person likes. `theme` is a number of pyairtable.users.v1.Theme."""

    default_workspace: str = ""
    theme: int = 0
    model: str = ""
    letters_about_invitations: bool = True
    show_costs: bool = False


@dataclass(frozen=True)
class Profile:
    """A person. Times are aware."""

    user_id: str
    email: str
    user_name: str
    display_name: str
    created_at: datetime
    avatar_url: str = ""
    about: str = ""
    time_zone: str = ""
    locale: str = ""
    deleted_at: datetime | None = None
    changes_of_state: int = 0
    """How often it was deleted or restored: the next change's key, so that a repeat of it is known as one."""
    preferences: Preferences = field(default_factory=Preferences)


@dataclass(frozen=True)
class Account:
    """What auth says of a person's account."""

    user_id: str
    email: str
    user_name: str
    is_disabled: bool


@dataclass(frozen=True)
class Place:
    """Where a listing goes on: behind the person with this name to sort by and this id."""

    sort_name: str
    user_id: str


@dataclass(frozen=True)
class Page:
    """Some people in the order of listings, and the place of the last one if more follow."""

    profiles: Sequence[Profile]
    last: Place | None


def unknown(user_id: str) -> NotFound:
    """The error for a person who is not known."""
    return NotFound(f'there is no person "{user_id}"', reason=Reason.USER_NOT_FOUND, user=user_id)


class LockedProfile(Protocol):
    """A person whom nobody else changes before the block ends. An error in the block takes its changes back."""

    profile: Profile

    async def save(self, profile: Profile) -> None:
        """Keep the person as given."""
        ...


class Deleted(Protocol):
    """Where people are kept who were deleted (store.py)."""

    def deleted_before(self, moment: datetime) -> AbstractAsyncContextManager[Sequence[str]]:
        """The ids of those, for one caller at a time over all replicas; none for others meanwhile."""
        ...


class Store(Protocol):
    """Where people are kept. Every method raises Unavailable when it is away."""

    async def find(self, user_ids: Sequence[str]) -> list[Profile]:
        """Those of the ids who are known, in no order."""
        ...

    async def page(self, words: Sequence[str], with_deleted: bool, size: int, after: Place | None) -> Page:
        """People who have, for each of the (folded) words, one that begins so."""
        ...

    async def create(self, profile: Profile, key: str, request: bytes) -> bool:
        """Keep a new person; whether there was none yet. A repeat with the key answers the same."""
        ...

    async def undo_create(self, user_id: str, key: str) -> bool:
        """Take back what `create` did with the key; whether there was something to take back."""
        ...

    def locked(self, user_id: str) -> AbstractAsyncContextManager[LockedProfile]:
        """A person to change; raises NotFound (USER_NOT_FOUND)."""
        ...

    async def erase(self, user_id: str, key: str, request: bytes) -> dict[str, Any]:
        """Forget a person; how many things of which kind were forgotten, the same at every repeat with the key."""
        ...
