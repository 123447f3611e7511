"""CreateWorkspace and ConnectBase: sagas, started for the caller."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.common import effects
from pyairtable_platform.common.database import EVERY_WORKSPACE
from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.workspace import BaseBinding, Workspace

from .edits import Edits
from .members.accounts import Accounts, account_of
from .members.rules import Actor
from .provisioning.names import first_free, label, require_name
from .provisioning.service import name_is_taken
from .sagas import Sagas
from .service import Registry
from .store import WorkspaceStore
from .templates.catalogue import template_named


@dataclass(frozen=True)
class NewBase:
    """A base to be connected. `access` is ReadOnly, ReadWrite or Schema."""

    base_id: str
    name: str
    access: str
    tables: tuple[str, ...]
    is_default: bool
    template: str


class Creation:
    """Starts the sagas that make workspaces and bindings."""

    def __init__(
        self, store: WorkspaceStore, registry: Registry, accounts: Accounts, sagas: Sagas, edits: Edits
    ) -> None:
        self._store = store
        self._registry = registry
        self._accounts = accounts
        self._sagas = sagas
        self._edits = edits

    async def create(
        self, name: str, display_name: str, key: str, request: bytes, actor: Actor
    ) -> tuple[Workspace | None, str]:
        """Make a workspace for the caller; None when it was not ready in time, and the saga."""
        if not display_name.strip():
            raise InvalidInput.at("display_name", "must hold more than blanks")
        await account_of(self._accounts, actor.user_id)  # the saga asks for the address again, and does not keep it
        key = f"create-workspace:{actor.user_id}:{key or uuid.uuid4().hex}"
        name = require_name(name) if name else await self._made_name(display_name, key, request)
        given = {"name": name, "display_name": display_name, "user_id": actor.user_id}
        saga = await self._sagas.start("workspace_creation", given, key, actor.principal)
        if not saga.is_completed:
            return None, saga.saga_id
        await self._registry.catch_up()
        return self._registry.get(name), saga.saga_id

    async def _made_name(self, display_name: str, key: str, request: bytes) -> str:
        """A name that is free, made of the one for people; the same for the same key."""

        async def choose(connection: AsyncConnection) -> dict[str, Any]:
            return {"name": await first_free(label(display_name), partial(name_is_taken, connection))}

        async with self._store.transaction(EVERY_WORKSPACE) as connection:  # names are everybody's
            answer = await effects.once(connection, f"{key}:name", request, partial(choose, connection))
        return str(answer["name"])

    async def connect(self, workspace: str, base: NewBase, key: str, actor: Actor) -> tuple[BaseBinding | None, str]:
        """Connect a base; None when it was not ready in time, and the saga."""
        if base.name:
            require_name(base.name)
        if base.template:
            template_named(base.template)
            if base.access != "Schema":
                raise InvalidInput.at("access", "must be BASE_ACCESS_SCHEMA, because a template makes tables")
        await self._require_bindable(workspace, base.base_id, key)
        given = {
            "workspace": workspace,
            "base_id": base.base_id,
            "name": base.name,
            "access": base.access,
            "tables": list(base.tables),
            "is_default": base.is_default,
            "template": base.template,
        }
        key = f"connect-base:{workspace}:{actor.principal}:{key or uuid.uuid4().hex}"
        saga = await self._sagas.start("base_connection", given, key, actor.principal)
        if not saga.is_completed:
            return None, saga.saga_id
        await self._registry.catch_up()
        return self._registry.get(workspace).base(base.base_id), saga.saga_id

    async def _require_bindable(self, workspace: str, base_id: str, key: str) -> None:
        """Tell at once what the saga would find out. A repeat is the saga's to answer: the base is bound by then."""
        if not key:
            await self._edits.require_can_bind(workspace, base_id)
