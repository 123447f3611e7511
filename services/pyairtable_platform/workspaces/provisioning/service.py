"""The steps of sagas that end here, each once by its key, and what takes them back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.common import effects
from pyairtable_platform.common.database import EVERY_WORKSPACE
from pyairtable_platform.common.errors import FailedPrecondition, QuotaExhausted, Unavailable
from pyairtable_platform.common.workspace import API, BaseBinding, LlmPolicy, Source, Workspace
from pyairtable_platform.workspaces.content import from_json, to_json
from pyairtable_platform.workspaces.edits import Edits
from pyairtable_platform.workspaces.members.rules import address
from pyairtable_platform.workspaces.service import Registry
from pyairtable_platform.workspaces.store import WorkspaceStore
from pyairtable_platform.workspaces.writing import Reservation, Writing, read_reservation

from .names import first_free, label, require_name
from .port import Provisioner

_OWNED = text(
    "SELECT count(*) FROM reservations JOIN members USING (workspace) "
    "WHERE owner_user_id = :user_id AND user_id = :user_id AND role = 'owner' AND NOT is_ended"
)
_RESERVE = text(
    "INSERT INTO reservations (workspace, uid, display_name, owner_user_id, step_key) "
    "VALUES (:workspace, :uid, :display_name, :user_id, :step_key)"
)
_FIRST_OWNER = text(
    "INSERT INTO members (workspace, user_id, email, role) VALUES (:workspace, :user_id, :email, 'owner')"
)
_OF_STEP = text("SELECT workspace, uid FROM reservations WHERE step_key = :step_key FOR UPDATE")
_END = text("UPDATE reservations SET is_ended = true WHERE step_key = :step_key")
_HAS_OBJECT = text("UPDATE reservations SET object_uid = :object_uid WHERE workspace = :workspace")


@dataclass(frozen=True)
class Wanted:
    """A workspace to be made."""

    name: str
    display_name: str
    user_id: str
    email: str
    any_name: bool


class Provisioning:
    """Makes workspaces and bindings, step by step. Every step is about names, which are everybody's: hence
    EVERY_WORKSPACE."""

    def __init__(
        self, store: WorkspaceStore, registry: Registry, provisioner: Provisioner, edits: Edits, most_owned: int
    ) -> None:
        self._store = store
        self._registry = registry
        self._provisioner = provisioner
        self._edits = edits
        self._most_owned = most_owned

    async def reserve(self, wanted: Wanted, key: str, request: bytes) -> str:
        """Take a name; the one that was taken."""
        async with self._store.transaction(EVERY_WORKSPACE) as connection:
            answer = await effects.once(connection, key, request, partial(self._reserve, connection, wanted, key))
        return str(answer["name"])

    async def _reserve(self, connection: AsyncConnection, wanted: Wanted, key: str) -> dict[str, Any]:
        await Writing.begin(connection)
        email = address(wanted.email)
        owned = int((await connection.execute(_OWNED, {"user_id": wanted.user_id})).scalar_one())
        if owned >= self._most_owned:
            raise QuotaExhausted(
                f"you own {owned} workspaces, as many as a person may: delete one first, or have "
                "WORKSPACES_PER_PERSON raised"
            )
        is_taken = partial(name_is_taken, connection)
        if wanted.any_name:
            name = await first_free(label(wanted.name), is_taken)
        elif await is_taken(name := require_name(wanted.name)):
            raise FailedPrecondition(f'the name "{name}" is taken: choose another', workspace=name)
        values = {"workspace": name, "user_id": wanted.user_id}
        reservation = {"uid": str(uuid.uuid4()), "display_name": wanted.display_name, "step_key": key}
        await connection.execute(_RESERVE, {**values, **reservation})
        await connection.execute(_FIRST_OWNER, {**values, "email": email})
        return {"name": name}

    async def release(self, undoes: str) -> bool:
        """Take back what `reserve` did with a key, and whatever was made of it."""
        # The object first, under the lock of its reservation: a step that declares it, late, waits and is refused then.
        async with self._store.transaction(EVERY_WORKSPACE) as connection:
            row = (await connection.execute(_OF_STEP, {"step_key": undoes})).first()
            if row is not None:
                await self._provisioner.delete(row.workspace, row.uid)
                await connection.execute(_END, {"step_key": undoes})
        async with self._store.transaction(EVERY_WORKSPACE) as connection:
            undone = await effects.undo(connection, undoes, partial(self._release, connection, undoes))
        await self._registry.catch_up()
        return undone

    async def _release(self, connection: AsyncConnection, key: str, answer: dict[str, Any]) -> None:
        writing = await Writing.begin(connection)
        reservation = await writing.reservation(answer["name"])
        if reservation is None or reservation.step_key != key:
            return  # it was deleted since, and maybe made anew
        current = await writing.current(reservation.workspace)
        if current is not None and reservation.stands_for(current):
            await writing.put(reservation.workspace, current, None)
        else:
            await writing.forget(reservation.workspace)

    async def declare(self, name: str, key: str, request: bytes) -> str:
        """Make what the installation needs; the object's name, or nothing."""
        async with self._store.transaction(EVERY_WORKSPACE) as connection:
            answer = await effects.once(connection, key, request, partial(self._declare, connection, name))
        return str(answer["object"])

    async def _declare(self, connection: AsyncConnection, name: str) -> dict[str, Any]:
        reservation = _reserved(await read_reservation(connection, name, "FOR UPDATE"), name)
        declared = await self._provisioner.declare(name, reservation.display_name, reservation.uid)
        if declared is None:
            return {"object": ""}
        await connection.execute(_HAS_OBJECT, {"workspace": name, "object_uid": declared.uid})
        return {"object": declared.name}

    async def activate(self, name: str, key: str, request: bytes) -> Workspace:
        """Put it into the registry, or wait until the operator has."""
        async with self._store.transaction(EVERY_WORKSPACE) as connection:
            answer = await effects.once(connection, key, request, partial(self._activate, connection, name))
        await self._registry.catch_up()
        return replace(from_json(answer["content"], answer["version"]), made_by_call=True)

    async def _activate(self, connection: AsyncConnection, name: str) -> dict[str, Any]:
        writing = await Writing.begin(connection)
        reservation = _reserved(await writing.reservation(name), name)
        current = await writing.current(name)
        if current is None and reservation.object_uid is None:
            await writing.put(name, None, made_by_call(reservation))
            current = await writing.current(name)
        if current is None or not reservation.stands_for(current):
            raise Unavailable(
                f"the operator has not taken Workspace/{name} in yet: is it up?", retry_after=1.0, dependency="operator"
            )
        return {"content": to_json(current), "version": current.version}

    async def bind(self, name: str, base: BaseBinding, principal: str, key: str, request: bytes) -> BaseBinding:
        """Bind a base that was verified."""

        async def do() -> dict[str, Any]:
            bound = await self._edits.bind(connection, name, base, principal)
            return {"workspace": name, "principal": principal, "base": _base_values(bound)}

        async with self._store.transaction(EVERY_WORKSPACE) as connection:
            answer = await effects.once(connection, key, request, do)
        await self._registry.catch_up()
        return _base(answer["base"])

    async def unbind(self, undoes: str) -> bool:
        """Take back what `bind` did with a key."""

        async def take_back(answer: dict[str, Any]) -> None:
            await self._edits.unbind(connection, answer["workspace"], _base(answer["base"]), answer["principal"])

        async with self._store.transaction(EVERY_WORKSPACE) as connection:
            undone = await effects.undo(connection, undoes, take_back)
        await self._registry.catch_up()
        return undone


async def name_is_taken(connection: AsyncConnection, name: str) -> bool:
    """Whether a workspace or a call has this name."""
    return (await connection.execute(_TAKEN, {"name": name})).first() is not None


_TAKEN = text(
    "SELECT 1 FROM workspaces WHERE name = :name AND content IS NOT NULL "
    "UNION ALL SELECT 1 FROM reservations WHERE workspace = :name"
)


def made_by_call(reservation: Reservation) -> Workspace:
    """What a call makes: an empty workspace, without an object of its own."""
    return Workspace(
        name=reservation.workspace,
        display_name=reservation.display_name,
        version=0,
        suspended=False,
        airtable_secret=None,
        monthly_call_budget=0,
        bases=(),
        llm=LlmPolicy(),
        source=Source(API, reservation.uid),
    )


def _reserved(reservation: Reservation | None, name: str) -> Reservation:
    if reservation is None or reservation.is_ended:
        text = f'the name "{name}" is not taken by a call, or it is being given back'
        raise FailedPrecondition(text, workspace=name)
    return reservation


def _base_values(base: BaseBinding) -> dict[str, Any]:
    return {
        "name": base.name,
        "base_id": base.base_id,
        "access": base.access,
        "is_default": base.is_default,
        "tables": list(base.tables),
    }


def _base(values: dict[str, Any]) -> BaseBinding:
    return BaseBinding(**{**values, "tables": tuple(values["tables"])})
