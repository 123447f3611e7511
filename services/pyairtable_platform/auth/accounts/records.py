"""Accounts and logins as plain values."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime


class State(enum.StrEnum):
    """Whether an account can log in."""

    UNVERIFIED = "unverified"
    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Account:
    """A person's account. Times are aware."""

    user_id: str
    email: str
    email_folded: str
    user_name: str
    user_name_folded: str
    display_name: str
    password_hash: str = field(repr=False)
    state: State
    created_at: datetime
    verified_at: datetime | None = None
    password_changed_at: datetime | None = None
    is_erased: bool = False

    def is_active(self) -> bool:
        return self.state is State.ACTIVE and not self.is_erased

    def is_admin(self, admins: Collection[str]) -> bool:
        """Whether it administers this installation: its address is proved and among these (folded)."""
        return self.is_active() and self.verified_at is not None and self.email_folded in admins


@dataclass(frozen=True)
class Login:
    """What a chain of refresh tokens belongs to. Times are aware."""

    login_id: str
    user_id: str
    device: str
    address: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None


def session_of(login_id: str) -> str:
    """The claim sid of a login's tokens."""
    return f"login:{login_id}"


def principal_of(user_id: str) -> str:
    """The claim sub of a person's tokens."""
    return f"user:{user_id}"
