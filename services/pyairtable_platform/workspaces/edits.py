"""Changes that calls make to workspaces which calls made: fields, bases, the end.

What a custom resource or a file declares is refused here (OWNED_ELSEWHERE). In a cluster the object is changed under
the writers' lock, before the registry: both say the same, and what the cluster refuses changes nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.common.database import EVERY_WORKSPACE
from pyairtable_platform.common.errors import Denied, FailedPrecondition, NotFound, QuotaExhausted, Reason
from pyairtable_platform.common.self_service import Bounds
from pyairtable_platform.common.workspace import CUSTOM_RESOURCE, OWNER, BaseBinding, Workspace

from .declared import checked
from .members.rules import Actor, owned_elsewhere, role_in
from .provisioning.names import first_free, is_label, label
from .provisioning.port import Provisioner
from .service import Registry
from .store import WorkspaceStore
from .writing import Writing

MOST_BASES = 100

# Whatever declares it: a base that an object or a file gives to a workspace is nobody's who comes by a call.
_BOUND_ELSEWHERE = text(
    "SELECT 1 FROM workspaces WHERE name <> :name AND content IS NOT NULL "
    "AND content::jsonb -> 'bases' @> jsonb_build_array(jsonb_build_object('base_id', CAST(:base_id AS text))) LIMIT 1"
)


class Edits:
    """Changes workspaces that calls made. `is_token_shared`: such a workspace may use the installation's own token;
    `bounds`: of what it may spend on the installation's key."""

    def __init__(
        self,
        store: WorkspaceStore,
        registry: Registry,
        provisioner: Provisioner,
        is_token_shared: bool,
        bounds: Bounds,
    ) -> None:
        self._store = store
        self._registry = registry
        self._provisioner = provisioner
        self._is_token_shared = is_token_shared
        self._bounds = bounds

    async def update(self, name: str, edit: Callable[[Workspace], Workspace], actor: Actor) -> Workspace:
        """Change fields."""
        async with self._store.writing(name) as writing:
            current = await self._ours(writing, name, "its fields")
            wanted = edit(current)
            if wanted.llm != current.llm:  # what was allowed once stands in nobody's way
                self._bounds.check(wanted)
            changed = await self._put(writing, current, wanted, actor.principal)
        await self._registry.catch_up()
        return changed

    async def delete(self, name: str, actor: Actor) -> None:
        """End a workspace."""
        async with self._store.writing(name) as writing:
            current = await self._ours(writing, name, "that it is there")
            if role_in(actor, current) != OWNER:
                raise Denied(f'only an owner of workspace "{name}" can end it', workspace=name)
            await self.end(writing, current, actor.principal)
        await self._registry.catch_up()

    async def end(self, writing: Writing, current: Workspace, principal: str) -> None:
        """Take a workspace out that a call made, under the lock."""
        reservation = await writing.reservation(current.name)
        if current.source.kind == CUSTOM_RESOURCE and reservation is not None:
            await self._provisioner.delete(current.name, reservation.uid)
        await writing.put(current.name, current, None, principal)

    async def disconnect(self, name: str, reference: str, actor: Actor) -> None:
        """Take a base out, by its name or id."""
        async with self._store.writing(name) as writing:
            current = await self._ours(writing, name, "its bases")
            found = next((base for base in current.bases if reference in (base.name, base.base_id)), None)
            if found is None:
                raise no_base(name, reference)
            await self._put(writing, current, without(current, found), actor.principal)
        await self._registry.catch_up()

    async def require_can_bind(self, name: str, base_id: str) -> None:
        """Raise what `bind` would raise for a base, before anything is done."""
        async with self._store.writing(EVERY_WORKSPACE) as writing:  # who else has bound it
            current = await self._ours(writing, name, "its bases")
            await self._require_bindable(writing.connection, current, base_id)

    async def bind(self, connection: AsyncConnection, name: str, base: BaseBinding, principal: str) -> BaseBinding:
        """Bind a base, in a transaction about every workspace."""
        writing = await Writing.begin(connection)
        current = await self._ours(writing, name, "its bases")
        await self._require_bindable(connection, current, base.base_id)
        base = replace(base, name=await _name_of(base, current), is_default=base.is_default or not current.bases)
        others = (replace(item, is_default=item.is_default and not base.is_default) for item in current.bases)
        await self._put(writing, current, replace(current, bases=(*others, base)), principal)
        return base

    async def unbind(self, connection: AsyncConnection, name: str, base: BaseBinding, principal: str) -> None:
        """Take back what `bind` did, unless somebody did it before."""
        writing = await Writing.begin(connection)
        current = await writing.current(name)
        if current is None:
            return
        found = next((item for item in current.bases if (item.name, item.base_id) == (base.name, base.base_id)), None)
        if found is not None:
            current = await self._ours(writing, name, "its bases")
            await self._put(writing, current, without(current, found), principal)

    async def is_ours(self, writing: Writing, workspace: Workspace) -> bool:
        """Whether a call made it."""
        reservation = await writing.reservation(workspace.name)
        return reservation is not None and reservation.stands_for(workspace)

    async def _ours(self, writing: Writing, name: str, what: str) -> Workspace:
        """The workspace, when a call made it; raises OWNED_ELSEWHERE."""
        current = await writing.existing(name)
        if not await self.is_ours(writing, current):
            raise owned_elsewhere(current, what)
        return current

    async def _put(self, writing: Writing, current: Workspace, wanted: Workspace, principal: str) -> Workspace:
        wanted = replace(
            checked(wanted), version=current.version, members=current.members, made_by_call=current.made_by_call
        )
        if wanted == current:
            return current
        if current.source.kind == CUSTOM_RESOURCE:
            declared = await self._provisioner.update(wanted)
            if declared is not None:
                wanted = replace(wanted, source=replace(wanted.source, generation=declared.generation))
        await writing.put(current.name, current, wanted, principal)
        return await writing.existing(current.name)

    async def _require_bindable(self, connection: AsyncConnection, current: Workspace, base_id: str) -> None:
        if len(current.bases) >= MOST_BASES:
            raise QuotaExhausted(f'workspace "{current.name}" has {MOST_BASES} bases, as many as it may')
        if any(base.base_id == base_id for base in current.bases):
            raise FailedPrecondition(f"base {base_id} is bound already", workspace=current.name, base=base_id)
        if current.airtable_secret is not None:
            return
        if not self._is_token_shared:
            raise FailedPrecondition(
                f'workspace "{current.name}" has no Airtable token: an operator of the installation gives it one '
                f"(kubectl edit workspace {current.name}: spec.airtable.tokenSecretRef), or sets SHARED_AIRTABLE_TOKEN",
                reason=Reason.CREDENTIAL_MISSING,
                workspace=current.name,
                credential="airtable",
            )
        values = {"name": current.name, "base_id": base_id}
        if (await connection.execute(_BOUND_ELSEWHERE, values)).first() is not None:
            raise FailedPrecondition(
                f"base {base_id} is bound by another workspace already, and both would use one Airtable token: "
                f"unbind it there, or have an operator give this workspace a token of its own",
                base=base_id,
            )


async def _name_of(base: BaseBinding, current: Workspace) -> str:
    """The binding's name: the one that was given, when it is free; else one that is made of the base's name or id."""
    taken = {item.name for item in current.bases}
    if is_label(base.name):
        if base.name in taken:
            text = f'workspace "{current.name}" has a base called {base.name} already: choose another name'
            raise FailedPrecondition(text, workspace=current.name, base=base.name)
        return base.name

    async def is_taken(name: str) -> bool:
        return name in taken

    return await first_free(label(base.name, otherwise=label(base.base_id)), is_taken)


def without(current: Workspace, base: BaseBinding) -> Workspace:
    """The workspace without a base; of the others one is the default."""
    others = [item for item in current.bases if item != base]
    if base.is_default and others:
        others[0] = replace(others[0], is_default=True)
    return replace(current, bases=tuple(others))


def no_base(name: str, reference: str) -> NotFound:
    """The error for a base that the workspace does not have."""
    text = f'workspace "{name}" has no base "{reference}"'
    return NotFound(text, reason=Reason.BASE_NOT_FOUND, workspace=name, base=reference)
