"""The rules of credentials: access keys of workspaces, and what they allow."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pyairtable_platform.common.context import own_workspace
from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput, NotFound, Reason, Unauthenticated
from pyairtable_platform.common.identity import Identity
from pyairtable_platform.common.registry import Workspace

from . import keys
from .records import AccessKey, Declared, KeysOfWorkspace, Store
from .signers import Signers

log = logging.getLogger(__name__)

DEFAULT_ROLE = "editor"
PRINCIPAL = "access-key:"


class Registry(Protocol):
    """Who knows the workspaces."""

    def resolve(self, name: str) -> Workspace: ...


@dataclass(frozen=True)
class Authorized:
    """What a credential allows, until `expires_at` (seconds since 1970)."""

    token: str
    principal: str
    workspace: str
    role: str
    expires_at: float


class AuthService:
    """Access keys of all workspaces."""

    def __init__(self, store: Store, signers: Signers, registry: Registry) -> None:
        self._store = store
        self._signers = signers
        self._registry = registry

    async def authorize(self, credential: str, workspace: str) -> Authorized:
        """What a credential allows now: an access key's, or that of an identity token which is to be renewed."""
        key = await (self._shown(credential) if credential.startswith(keys.PREFIX) else self._renewed(credential))
        own_workspace(Identity("", key.workspace, "", frozenset(), 0, ""), workspace)
        found = self._registry.resolve(key.workspace)
        if key.workspace_uid not in ("", found.source.uid):
            raise Unauthenticated("the access key belongs to a workspace that was removed and made anew")
        principal = f"{PRINCIPAL}{key.key_id}"
        signer = await self._signers.current()
        token, ends = signer.sign(principal=principal, workspace=key.workspace, role=key.role, ends=key.expires_at)
        await self._note_use(key)
        return Authorized(token, principal, key.workspace, key.role, ends)

    async def create(self, workspace: str, name: str, role: str, expires_at: datetime | None) -> tuple[str, AccessKey]:
        """A new key and what is kept of it."""
        now = datetime.now(UTC)
        if expires_at is not None and expires_at <= now:
            raise InvalidInput.at("expires_at", "must be in the future")
        uid = self._registry.resolve(workspace).source.uid
        text, key = made(workspace, name, role or DEFAULT_ROLE, expires_at, uid, now)
        async with self._store.workspace(workspace) as known:
            await insert(known, key)
        log.info("access key created", extra={"key": key.key_id, "workspace": workspace, "role": key.role})
        return text, key

    async def page(self, workspace: str, prefix: str, size: int, token: str) -> tuple[Sequence[AccessKey], str]:
        """A page of keys, and the token of the next one ("" at the end)."""
        page = await self._store.page(workspace, prefix, size, from_token(token) if token else None)
        return page.keys, to_token(page.last) if page.last else ""

    async def rotate(self, workspace: str, key_id: str, overlap: timedelta) -> tuple[str, AccessKey, AccessKey]:
        """A key in the place of another: its text, what is kept of it, and the old one with its end."""
        now = datetime.now(UTC)
        async with self._store.workspace(workspace) as known:
            old = await find(known, workspace, key_id)
            check_rotatable(old, now)
            # The new one counts as long as the old one was made to.
            expires_at = now + (old.expires_at - old.created_at) if old.expires_at else None
            text, key = made(workspace, old.name, old.role, expires_at, old.workspace_uid, now)
            ends = min(now + overlap, old.expires_at) if old.expires_at else now + overlap
            replaced = replace(old, expires_at=ends, replaced_by=key.key_id)
            await insert(known, key)
            await known.update(replaced)
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
                    changed = True
        if changed:
            log.info("access keys applied", extra={"keys": sorted(wanted), "workspace": workspace})
        return changed

    async def _shown(self, text: str) -> AccessKey:
        """The key that a text proves."""
        key_id = keys.id_of(text)
        key = await self._store.find(key_id) if key_id else None
        expected = key.sha256 if key else b"\0" * 32
        if not hmac.compare_digest(keys.digest(text), expected) or key is None:
            raise Unauthenticated("the access key is not accepted: it is none of this installation, or not whole")
        return working(key)

    async def _renewed(self, token: str) -> AccessKey:
        """The key behind an identity token that is about to end: a call goes on as long as its key works."""
        identity = await self._signers.verify_for_renewal(token)
        key = await self._store.find(identity.principal.removeprefix(PRINCIPAL))
        if key is None or key.workspace != identity.workspace:
            raise Unauthenticated("the identity token is not accepted: its access key is gone")
        return working(key)

    async def _note_use(self, key: AccessKey) -> None:
        """For people who look for keys that nobody uses: nobody is kept out because it cannot be written."""
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        if key.last_used_at is not None and key.last_used_at >= minute:
            return
        try:
            await self._store.used(key.key_id, minute)
        except Exception as error:  # a read-only PostgreSQL refuses writes (25006) and answers questions
            log.warning("the use of an access key was not noted", extra={"key": key.key_id, "cause": str(error)})


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
        expires_at=expires_at,
    )
    return new.text, kept


def working(key: AccessKey) -> AccessKey:
    """The key, if it still works; whoever holds it may know why it does not."""
    if key.works_at(datetime.now(UTC)):
        return key
    why = "was revoked" if key.revoked_at else "has expired"
    raise Unauthenticated(f"the access key {key.key_id} {why}: use another")


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
        key = AccessKey(want.key_id, workspace, "", DEFAULT_ROLE, True, want.sha256, now, uid, want.expires_at)
        await insert(known, key)
        return True
    wanted = replace(taken, workspace_uid=uid, sha256=want.sha256, expires_at=want.expires_at, revoked_at=None)
    if wanted == taken:
        return False
    await known.update(wanted)
    return True


def to_token(key: AccessKey) -> str:
    """The place behind a key in a listing."""
    return base64.urlsafe_b64encode(f"{key.created_at.isoformat()} {key.key_id}".encode()).decode()


def from_token(token: str) -> tuple[datetime, str]:
    """The place that a token names."""
    try:
        created_at, _, key_id = base64.urlsafe_b64decode(token).decode().partition(" ")
        return datetime.fromisoformat(created_at).astimezone(UTC), key_id
    except (ValueError, OverflowError, binascii.Error) as error:
        raise InvalidInput.at("page_token", "is not one of ours", reason=Reason.PAGE_TOKEN_INVALID) from error
