"""API keys of people: what a person may make, see and end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from pyairtable_platform.common.errors import (
    Denied,
    FailedPrecondition,
    InvalidInput,
    NotFound,
    Reason,
    Unauthenticated,
)
from pyairtable_platform.common.roles import rank_of

from . import keys
from .api_key_store import ApiKey, ApiKeyPage, LoginOver, TooMany
from .memberships import Member, Person, Right, joined_at
from .paging import from_token, to_token

log = logging.getLogger(__name__)

MOST_KEYS = 200
"""So many working keys a person may have."""


class Store(Protocol):
    """Where API keys lie (ApiKeyStore)."""

    async def insert(self, key: ApiKey, login_id: str, most: int) -> bool: ...

    async def page(
        self, user_id: str, workspace: str, prefix: str, size: int, after: tuple[datetime, str] | None
    ) -> ApiKeyPage: ...

    async def revoke(self, user_id: str, key_id: str) -> ApiKey | None: ...


class Persons(Protocol):
    """People with active accounts."""

    async def of_user(self, user_id: str) -> Person | None: ...


class Rights(Protocol):
    """Who knows the members of workspaces."""

    def right(self, member: Member, name: str) -> Right: ...


class ApiKeys:
    """The API keys of all people."""

    def __init__(self, store: Store, people: Persons, rights: Rights) -> None:
        self._store = store
        self._people = people
        self._rights = rights

    async def create(
        self, user_id: str, login_id: str, workspace: str, name: str, role: str, expires_at: datetime | None
    ) -> tuple[str, ApiKey]:
        """A new key of a person, asked for by a login, and what is kept of it. An empty role is the person's own.

        Raises Denied for a workspace that the person is no member of and for a role above the person's own there.
        """
        now = datetime.now(UTC)
        if expires_at is not None and expires_at <= now:
            raise InvalidInput.at("expires_at", "must be in the future")
        person = await self._people.of_user(user_id)
        if person is None:
            raise Unauthenticated("your account is not active")
        right = self._rights.right(person, workspace)
        require_not_above(role, right)
        new = keys.new_key(keys.PERSONS_PREFIX)
        key = ApiKey(
            key_id=new.key_id,
            user_id=user_id,
            workspace=workspace,
            workspace_uid=right.workspace.source.uid,
            name=name,
            role=role or right.role,
            sha256=keys.digest(new.text),
            created_at=now,
            member_since=joined_at(person, right.workspace),
            expires_at=expires_at,
        )
        await self._keep(key, login_id)
        log.info("API key created", extra={"key": key.key_id, "user": user_id, "workspace": workspace})
        return new.text, key

    async def page(
        self, user_id: str, workspace: str, prefix: str, size: int, token: str
    ) -> tuple[Sequence[ApiKey], str]:
        """A page of a person's keys, newest first, revoked ones too, and the token of the next one ("" at the end)."""
        page = await self._store.page(user_id, workspace, prefix, size, from_token(token) if token else None)
        return page.keys, to_token(page.last.created_at, page.last.key_id) if page.last else ""

    async def revoke(self, user_id: str, key_id: str) -> ApiKey:
        """End a person's key everywhere at once and for good; raises NotFound, also for somebody else's."""
        key = await self._store.revoke(user_id, key_id)
        if key is None:
            raise NotFound(f'you have no API key "{key_id}"', reason=Reason.API_KEY_NOT_FOUND, key=key_id)
        log.info("API key revoked", extra={"key": key_id, "user": user_id})
        return key

    async def _keep(self, key: ApiKey, login_id: str) -> None:
        try:
            is_free = await self._store.insert(key, login_id, MOST_KEYS)
        except LoginOver:
            raise Unauthenticated("your login has ended: log in again") from None
        except TooMany:
            raise FailedPrecondition(f"you have {MOST_KEYS} API keys that work: revoke one first") from None
        if not is_free:
            raise FailedPrecondition(f"the key_id {key.key_id} is taken: try again", key=key.key_id)


def require_not_above(role: str, right: Right) -> None:
    """Raise Denied for a role above somebody's own."""
    if rank_of(role) > rank_of(right.role):
        text = f'your own role in workspace "{right.workspace.name}" is {right.role}: no key of yours can be {role}'
        raise Denied(text, workspace=right.workspace.name, role=right.role)
