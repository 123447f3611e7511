"""The rules of the gateway: reads, schema, comments, attachments. Writes of records are in writes.py.

Plain values in and out (Airtable's own JSON shapes); no gRPC, HTTP, SQL or Redis.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Protocol

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import InvalidInput, PyAirtableError, Reason
from pyairtable_platform.common.registry import BaseBinding, Workspace

from . import wire
from .access import Need, Where, allowed_tables, base_for, may_create_bases, names_allowed, require_allowed
from .answers import Refusal
from .calls import AirtableCalls, Doubt, Doubtful, Errand, unknown_outcome
from .explain import Explainer, Target, find
from .pages import Place, fingerprint, from_token, read_page, to_token
from .usage import Usage
from .wire import PAGE_SIZE, Json, Listing, Shape

_ANSWER_MARGIN_SECONDS = 0.1
"""Kept from the caller's deadline, so that our answer still reaches it."""


class Registry(Protocol):
    """Who knows the workspaces."""

    def resolve(self, name: str) -> Workspace: ...

    def find(self, name: str) -> Workspace: ...


@dataclass(frozen=True, slots=True)
class BaseView:
    """A base that a workspace may use, as Airtable and the workspace describe it."""

    airtable: Json
    binding: BaseBinding


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A listing that a caller wants."""

    listing: Listing
    page_size: int
    max_records: int
    page_token: str


class GatewayService:
    """Everything that one can ask of Airtable through the gateway."""

    def __init__(self, *, registry: Registry, calls: AirtableCalls, usage: Usage) -> None:
        self._registry = registry
        self._calls = calls
        self._usage = usage
        self._explainer = Explainer(calls.make)

    # Bases and schema

    async def list_bases(self, workspace_name: str) -> list[BaseView]:
        """The bound bases that Airtable shows to the workspace's token, by name."""
        workspace = self._registry.resolve(workspace_name)
        bound = {binding.base_id: binding for binding in workspace.bases}
        errand = self._errand(workspace)
        found: list[BaseView] = []
        offset, offsets = "", {""}
        while True:
            answer = await self.ask(wire.list_bases(offset), errand, Target())
            found += [BaseView(base, bound[base["id"]]) for base in answer["bases"] if base["id"] in bound]
            offset = answer.get("offset") or ""
            if offset in offsets:
                return sorted(found, key=lambda view: str(view.airtable.get("name", "")).lower())
            offsets.add(offset)

    async def base_schema(self, workspace_name: str, base_ref: str) -> tuple[str, list[Json]]:
        """The id of a base and its tables, as far as the workspace may use them."""
        where = self.base(workspace_name, base_ref, Need.READ)
        tables = await self._tables(where, self._errand(where.workspace))
        return where.base_id, allowed_tables(where.binding, tables)

    async def create_base(self, workspace_name: str, airtable_workspace: str, name: str, tables: list[Json]) -> Json:
        """A new base; it must be bound before it can be used."""
        workspace = self._registry.resolve(workspace_name)
        may_create_bases(workspace)
        call = wire.create_base(airtable_workspace, name, tables)
        return await self._once(call, self._errand(workspace), Target())

    async def create_table(self, workspace_name: str, base_ref: str, table: Json) -> Json:
        where = self.base(workspace_name, base_ref, Need.SCHEMA)
        call = wire.create_table(where.base_id, table)
        return await self._once(call, self._errand(where.workspace), where.target())

    async def update_table(self, workspace_name: str, base_ref: str, table: str, changes: Json) -> Json:
        _require_changes(changes)
        where = await self.table(workspace_name, base_ref, table, Need.SCHEMA)
        call = wire.update_table(where.base_id, table, changes)
        return await self.ask(call, self._errand(where.workspace), where.target())

    async def create_field(self, workspace_name: str, base_ref: str, table: str, field: Json) -> Json:
        where = await self.table(workspace_name, base_ref, table, Need.SCHEMA)
        errand = self._errand(where.workspace)
        found = await self._find_table(where, errand)
        return await self._once(wire.create_field(where.base_id, found["id"], field), errand, where.target())

    async def update_field(self, workspace_name: str, base_ref: str, table: str, field: str, changes: Json) -> Json:
        _require_changes(changes)
        where = await self.table(workspace_name, base_ref, table, Need.SCHEMA)
        errand = self._errand(where.workspace)
        found = await self._find_table(where, errand)
        found_field = find(found["fields"], field)
        if found_field is None:
            raise where.target().field_error(field)
        call = wire.update_field(where.base_id, found["id"], found_field["id"], changes)
        return await self.ask(call, errand, where.target(field=field))

    # Records

    async def list_records(
        self, workspace_name: str, base_ref: str, table: str, query: ListQuery
    ) -> tuple[list[Json], str]:
        """A page of records, and the token of the next one ("" at the end)."""
        where = await self.table(workspace_name, base_ref, table, Need.READ)
        key = fingerprint(where.workspace.tenant, where.base_id, table, query.listing, query.max_records)
        place = from_token(query.page_token, key)
        records, behind = await self._read_page(where, query, place, self._errand(where.workspace))
        return records, to_token(behind, key) if behind else ""

    async def stream_records(
        self, workspace_name: str, base_ref: str, table: str, query: ListQuery
    ) -> AsyncIterator[tuple[list[Json], str]]:
        """All pages of a listing, each with the token that goes on behind it."""
        where = await self.table(workspace_name, base_ref, table, Need.READ)
        key = fingerprint(where.workspace.tenant, where.base_id, table, query.listing, query.max_records)
        errand = self._errand(where.workspace).in_bulk()
        place: Place | None = from_token(query.page_token, key)
        while place is not None:
            records, place = await self._read_page(where, query, place, errand)
            yield records, to_token(place, key) if place else ""

    async def get_record(self, workspace_name: str, base_ref: str, table: str, record_id: str, shape: Shape) -> Json:
        _require_locale(shape)
        where = await self.table(workspace_name, base_ref, table, Need.READ)
        if where.binding.tables:
            return await self._own_record(where, record_id, shape)
        call = wire.get_record(where.base_id, table, record_id, shape)
        return await self.ask(call, self._errand(where.workspace), where.target(record_id=record_id))

    async def upload_attachment(
        self,
        workspace_name: str,
        base_ref: str,
        table: str,
        record_id: str,
        field: str,
        *,
        filename: str,
        content_type: str,
        content: bytes,
    ) -> tuple[str, list[Json]]:
        """The record's id and the attachments of the field now."""
        where = await self.table(workspace_name, base_ref, table, Need.WRITE)
        errand = self._errand(where.workspace)
        # Airtable's path names no table, so that only the field's id ties the call to the table we may use.
        found = find((await self._find_table(where, errand))["fields"], field)
        if found is None:
            raise where.target().field_error(field)
        call = wire.upload_attachment(
            where.base_id, record_id, found["id"], filename=filename, content_type=content_type, content=content
        )
        answer = await self._once(call, errand, where.target(record_id=record_id, field=field))
        return answer["id"], answer.get("fields", {}).get(found["id"], [])

    # Comments

    async def list_comments(
        self, workspace_name: str, base_ref: str, table: str, record_id: str, *, page_size: int, page_token: str
    ) -> tuple[list[Json], str]:
        """A page of comments, and the token of the next one; it is Airtable's own."""
        where = await self.table(workspace_name, base_ref, table, Need.READ)
        await self._require_own_record(where, record_id)
        call = wire.list_comments(where.base_id, table, record_id, page_size=page_size or PAGE_SIZE, offset=page_token)
        answer = await self.ask(call, self._errand(where.workspace), where.target(record_id=record_id))
        return answer["comments"], answer.get("offset") or ""

    async def create_comment(
        self, workspace_name: str, base_ref: str, table: str, record_id: str, text: str, parent: str
    ) -> Json:
        where = await self.table(workspace_name, base_ref, table, Need.WRITE)
        await self._require_own_record(where, record_id)
        call = wire.create_comment(where.base_id, table, record_id, text, parent)
        target = where.target(record_id=record_id, comment_id=parent)
        return await self._once(call, self._errand(where.workspace), target)

    async def update_comment(
        self, workspace_name: str, base_ref: str, table: str, record_id: str, comment_id: str, text: str
    ) -> Json:
        where = await self.table(workspace_name, base_ref, table, Need.WRITE)
        await self._require_own_record(where, record_id)
        call = wire.update_comment(where.base_id, table, record_id, comment_id, text)
        target = where.target(record_id=record_id, comment_id=comment_id)
        return await self.ask(call, self._errand(where.workspace), target)

    async def delete_comment(
        self, workspace_name: str, base_ref: str, table: str, record_id: str, comment_id: str
    ) -> None:
        where = await self.table(workspace_name, base_ref, table, Need.WRITE)
        await self._require_own_record(where, record_id)
        call = wire.delete_comment(where.base_id, table, record_id, comment_id)
        target = where.target(record_id=record_id, comment_id=comment_id)
        doubt = Doubt()
        try:
            await self.ask(call, self._errand(where.workspace), target, doubt)
        except PyAirtableError as error:
            if error.reason is not Reason.COMMENT_NOT_FOUND or doubt.since is None:
                raise  # else our own first attempt deleted it and its answer was lost

    # The workspace itself

    async def identity(self, workspace_name: str) -> Json:
        """Whose token the workspace uses."""
        return await self.ask(wire.whoami(), self._errand(self._registry.resolve(workspace_name)), Target())

    async def usage(self, workspace_name: str) -> tuple[Workspace, str, dict[str, int]]:
        """The workspace, this month, and its calls by base id. The platform may ask about suspended ones too."""
        is_tenant = context.identity() is not None
        workspace = self._registry.resolve(workspace_name) if is_tenant else self._registry.find(workspace_name)
        month, by_base = await self._usage.by_base(workspace.tenant)
        return workspace, month, by_base

    # Shared with writes.py

    def base(self, workspace_name: str, base_ref: str, need: Need) -> Where:
        """The base that a caller means, if it may do there what it wants."""
        workspace = self._registry.resolve(workspace_name)
        return Where(workspace, base_for(workspace, base_ref, need))

    async def table(self, workspace_name: str, base_ref: str, table: str, need: Need) -> Where:
        """The table that a caller means. Asks for the schema when only that can tell whether it is allowed."""
        where = replace(self.base(workspace_name, base_ref, need), table=table)
        if names_allowed(where.binding, table) is None:
            require_allowed(where, await self._tables(where, self._errand(where.workspace)))
        return where

    async def ask(self, call: wire.AirtableCall, errand: Errand, target: Target, doubt: Doubt | None = None) -> Json:
        """Make a call; a refusal becomes the typed error that fits."""
        try:
            return await self._calls.make(call, errand, doubt)
        except Refusal as refusal:
            raise await self.explain(refusal, target, errand) from refusal

    async def explain(self, refusal: Refusal, target: Target, errand: Errand) -> PyAirtableError:
        """The typed error for a refusal; it may have to look at Airtable."""
        return await self._explainer.error(refusal, target, errand)

    async def _own_record(self, where: Where, record_id: str, shape: Shape) -> Json:
        """A record of the table. Asked by its id, Airtable returns one of any table in the base (docs: get record)."""
        target = where.target(record_id=record_id)
        call = wire.find_record(where.base_id, where.table, record_id, shape)
        found: list[Json] = (await self.ask(call, self._errand(where.workspace), target))["records"]
        if not found:
            raise target.record_error(record_id)
        return found[0]

    async def _require_own_record(self, where: Where, record_id: str) -> None:
        """Raise NotFound for a record of another table, where the workspace may not use all of them."""
        if where.binding.tables:
            await self._own_record(where, record_id, Shape())

    async def _once(self, call: wire.AirtableCall, errand: Errand, target: Target) -> Json:
        """Make a call that must not be repeated."""
        try:
            return await self.ask(call, errand, target)
        except Doubtful as doubtful:
            raise unknown_outcome(call.operation, doubtful) from doubtful

    def _errand(self, workspace: Workspace) -> Errand:
        return errand_for(workspace, _ANSWER_MARGIN_SECONDS)

    async def _read_page(
        self, where: Where, query: ListQuery, place: Place, errand: Errand
    ) -> tuple[list[Json], Place | None]:
        _require_locale(query.listing.shape)
        is_first = True

        async def fetch(size: int, offset: str) -> Json:
            nonlocal is_first
            this_errand, is_first = errand if is_first else errand.in_bulk(), False
            call = wire.list_records(where.base_id, where.table, query.listing, page_size=size, offset=offset)
            return await self._calls.make(call, this_errand)

        try:
            size = query.page_size or PAGE_SIZE
            return await read_page(fetch, place, size=size, max_records=query.max_records)
        except Refusal as refusal:
            target = where.target(view=query.listing.view)
            raise await self.explain(refusal, target, errand) from refusal

    async def _tables(self, where: Where, errand: Errand) -> list[Json]:
        tables: list[Json] = (await self.ask(wire.base_schema(where.base_id), errand, where.target()))["tables"]
        return tables

    async def _find_table(self, where: Where, errand: Errand) -> Json:
        tables = await self._tables(where, errand)
        require_allowed(where, tables)
        found = find(tables, where.table)
        assert found is not None, "require_allowed found it"
        return found


def errand_for(workspace: Workspace, margin: float) -> Errand:
    """An errand with the deadline of the call that is being served, less a margin for the answer."""
    deadline = context.current().deadline
    return Errand(workspace, None if deadline is None else deadline - margin)


def _require_changes(changes: Json) -> None:
    if not changes:
        raise InvalidInput("nothing to change: set at least one of the new values")


def _require_locale(shape: Shape) -> None:
    """Airtable docs: cellFormat=string needs both."""
    for name, value in (("time_zone", shape.time_zone), ("user_locale", shape.user_locale)):
        if shape.as_text and not value:
            raise InvalidInput.at(name, "needed when as_text is true")
