"""The rules of access keys: who may make, replace and end them. What they allow stands in authorizing.py."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import Denied, FailedPrecondition, InvalidInput, NotFound, Reason
from pyairtable_platform.common.registry import Workspace
from pyairtable_platform.common.roles import rank_of

from . import keys
from .paging import from_token, to_token
from .records import AccessKey, Declared, KeysOfWorkspace, Store

log = logging.getLogger(__name__)

DEFAULT_ROLE = "editor"


class Registry(Protocol):
    """Who knows the workspaces."""

    def resolve(self, name: str) -> Workspace: ...


class AuthService:
    """Access keys of all workspaces."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    async def create(self, workspace: str, name: str, role: str, expires_at: datetime | None) -> tuple[str, AccessKey]:
        """A new key and what is kept of it."""
        now = datetime.now(UTC)
        if expires_at is not None and expires_at <= now:
            raise InvalidInput.at("expires_at", "must be in the future")
        role = role or DEFAULT_ROLE
        require_not_above_caller(role)
        uid = self._registry.resolve(workspace).source.uid
        text, key = made(workspace, name, role, expires_at, uid, now)
        async with self._store.workspace(workspace) as known:
            await insert(known, key)
            await known.tell("created", key, key.made_by)
        log.info("access key created", extra={"key": key.key_id, "workspace": workspace, "role": key.role})
        return text, key

    async def page(self, workspace: str, prefix: str, size: int, token: str) -> tuple[Sequence[AccessKey], str]:
        """A page of keys, and the token of the next one ("" at the end)."""
        page = await self._store.page(workspace, prefix, size, from_token(token) if token else None)
        return page.keys, to_token(page.last.created_at, page.last.key_id) if page.last else ""

    async def rotate(self, workspace: str, key_id: str, overlap: timedelta) -> tuple[str, AccessKey, AccessKey]:
        """A key in the place of another: its text, what is kept of it, and the old one with its end."""
        now = datetime.now(UTC)
        async with self._store.workspace(workspace) as known:
            old = await find(known, workspace, key_id)
            check_rotatable(old, now)
            require_not_above_caller(old.role)
            # The new one counts as long as the old one was made to.
            expires_at = now + (old.expires_at - old.created_at) if old.expires_at else None
            text, key = made(workspace, old.name, old.role, expires_at, old.workspace_uid, now)
            ends = min(now + overlap, old.expires_at) if old.expires_at else now + overlap
            replaced = replace(old, expires_at=ends, replaced_by=key.key_id)
            await insert(known, key)
            await known.update(replaced)
            await known.tell("rotated", replaced, key.made_by)
            if not overlap:
                await known.end(key_id)
        log.info("access key rotated", extra={"key": key_id, "new_key": key.key_id, "workspace": workspace})
        return text, key, replaced

    async def revoke(self, workspace: str, key_id: str) -> AccessKey:
        """End a key at once and for good."""
        async with self._store.workspace(workspace) as known:
            key = await find(known, workspace, key_id)
            if not key.is_revoked_for_good:
                now = datetime.now(UTC)
                key = replace(key, revoked_at=key.revoked_at or now, is_revoked_for_good=True)
                await known.update(key)
                await known.end(key_id)
                await known.tell("revoked", key, caller())
                log.info("access key revoked", extra={"key": key_id, "workspace": workspace})
        return key

    async def apply(self, workspace: str, declared: Sequence[Declared], *, uid: str = "") -> bool:
        """Make the declared keys of a workspace exactly these, for the object with this uid; False when they were."""
        wanted = {key.key_id: key for key in declared}
        if len(wanted) < len(declared):
            raise InvalidInput.at("keys", "the same key_id stands there twice")
        now = datetime.now(UTC)
        async with self._store.workspace(workspace) as known:
            taken = {key.key_id: key for key in await known.find_anywhere(list(wanted))}
            check_declarable(workspace, taken)
            changed = False
            for key_id, want in wanted.items():
                changed |= await _declare(known, workspace, uid, want, taken.get(key_id), now)
            for key in await known.all():
                if is_left_out(key, wanted, uid) and key.revoked_at is None:
                    await known.update(replace(key, revoked_at=now))
                    await known.end(key.key_id)
                    changed = True
        if changed:
            log.info("access keys applied", extra={"keys": sorted(wanted), "workspace": workspace})
        return changed


def made(
    workspace: str, name: str, role: str, expires_at: datetime | None, uid: str, now: datetime
) -> tuple[str, AccessKey]:
    """A new key: its text, and what is kept of it."""
    new = keys.new_key()
    kept = AccessKey(
        key_id=new.key_id,
        workspace=workspace,
        name=name,
        role=role,
        is_declared=False,
        sha256=keys.digest(new.text),
        created_at=now,
        workspace_uid=uid,
        made_by=caller(),
        expires_at=expires_at,
    )
    return new.text, kept


def caller() -> str:
    """Who calls, as a principal; empty for the installation itself."""
    identity = context.identity()
    return identity.principal if identity else ""


def require_not_above_caller(role: str) -> None:
    """Raise Denied when a tenant makes a key that may do more than itself; peers make any."""
    caller = context.identity()
    if caller is not None and rank_of(role) > rank_of(caller.role):
        text = f"your own role is {caller.role}: you cannot make a key that is {role}"
        raise Denied(text, workspace=caller.workspace, role=caller.role)


async def find(known: KeysOfWorkspace, workspace: str, key_id: str) -> AccessKey:
    """A key of a workspace; raises NotFound, also for another's."""
    for key in await known.find_anywhere([key_id]):
        if key.workspace == workspace:
            return key
    text = f'workspace "{workspace}" has no access key "{key_id}"'
    raise NotFound(text, reason=Reason.ACCESS_KEY_NOT_FOUND, workspace=workspace, key=key_id)


async def insert(known: KeysOfWorkspace, key: AccessKey) -> None:
    """Keep a new key; raises FailedPrecondition when its id is another's."""
    if not await known.insert(key):
        raise id_taken(key.key_id)


def id_taken(key_id: str) -> FailedPrecondition:
    return FailedPrecondition(f"the key_id {key_id} is taken: make a new key", key=key_id)


def check_rotatable(key: AccessKey, now: datetime) -> None:
    """Raise FailedPrecondition for a key that cannot be replaced."""
    if key.is_declared:
        raise FailedPrecondition(
            f"the operator makes the access key {key.key_id}: annotate the Workspace to have it rotated", key=key.key_id
        )
    if key.replaced_by:
        raise FailedPrecondition(f"the access key {key.key_id} was replaced by {key.replaced_by}", key=key.replaced_by)
    if not key.works_at(now):
        raise FailedPrecondition(f"the access key {key.key_id} has ended: create a new one", key=key.key_id)


def check_declarable(workspace: str, taken: Mapping[str, AccessKey]) -> None:
    """Raise FailedPrecondition when a declared id is somebody else's, or was revoked by hand."""
    for key in taken.values():
        if key.workspace != workspace or not key.is_declared:
            raise id_taken(key.key_id)
        if key.is_revoked_for_good:
            raise FailedPrecondition(f"the access key {key.key_id} was revoked: make a new key", key=key.key_id)


def is_left_out(key: AccessKey, wanted: Mapping[str, Declared], uid: str) -> bool:
    """Whether a declaration without this key revokes it.

    Who declares nothing for an object is done with it, maybe late: the keys of its successor are none of his business.
    """
    if not key.is_declared or key.key_id in wanted:
        return False
    return bool(wanted) or not uid or key.workspace_uid in ("", uid)


async def _declare(
    known: KeysOfWorkspace, workspace: str, uid: str, want: Declared, taken: AccessKey | None, now: datetime
) -> bool:
    """Write one declared key as it is wanted; False when it was so."""
    if taken is None:
        key = AccessKey(
            want.key_id, workspace, "", DEFAULT_ROLE, True, want.sha256, now, uid, expires_at=want.expires_at
        )
        await insert(known, key)
        return True
    wanted = replace(taken, workspace_uid=uid, sha256=want.sha256, expires_at=want.expires_at, revoked_at=None)
    if wanted == taken:
        return False
    await known.update(wanted)
    if taken.revoked_at is not None:
        await known.restore(taken.key_id)
    return True
