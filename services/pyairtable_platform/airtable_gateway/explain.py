"""What a refusal of Airtable means for the caller: the typed error that names the thing and the remedy.

Airtable answers "not there", "not for this token" and "wrong scope" alike (403 with one long sentence, or 404), so the
explainer looks what is visible before it says which.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pyairtable_platform.common.errors import Denied, InvalidInput, NotFound, PyAirtableError, Reason, Unavailable

from . import wire
from .answers import EXPIRED_OFFSETS, NOT_FOUND_OR_FORBIDDEN, Refusal
from .calls import Errand

Make = Callable[[wire.AirtableCall, Errand], Awaitable[wire.Json]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a call was about, as the caller named it."""

    base_id: str = ""
    table: str = ""
    record_id: str = ""
    comment_id: str = ""
    field: str = ""
    view: str = ""

    def error(self, reason: Reason, text: str) -> NotFound:
        """NOT_FOUND with the names that the contract promises for this reason."""
        names: dict[Reason, dict[str, str]] = {
            Reason.BASE_NOT_FOUND: {"base": self.base_id},
            Reason.TABLE_NOT_FOUND: {"base": self.base_id, "table": self.table},
            Reason.FIELD_NOT_FOUND: {"table": self.table, "field": self.field},
            Reason.VIEW_NOT_FOUND: {"table": self.table, "view": self.view},
            Reason.RECORD_NOT_FOUND: {"table": self.table, "record": self.record_id},
            Reason.COMMENT_NOT_FOUND: {"record": self.record_id, "comment": self.comment_id},
        }
        error = NotFound(text, reason=reason)
        error.metadata.update({name: value for name, value in names[reason].items() if value})
        return error

    def record_error(self, record_id: str) -> NotFound:
        return Target(self.base_id, self.table, record_id).error(
            Reason.RECORD_NOT_FOUND, f'table "{self.table}" has no record "{record_id}"'
        )

    def field_error(self, name: str) -> NotFound:
        return Target(self.base_id, self.table, field=name).error(
            Reason.FIELD_NOT_FOUND, f'table "{self.table}" has no field "{name}"'
        )


def explain(refusal: Refusal, target: Target) -> PyAirtableError | None:
    """The error for a refusal that speaks for itself; None when one has to look (`Explainer`)."""
    if refusal.status == 413:
        return InvalidInput("Airtable says that the request is too large: send less at once", reason=Reason.TOO_LARGE)
    if refusal.status == 403 and refusal.kind != NOT_FOUND_OR_FORBIDDEN:
        return Denied(f"Airtable does not allow this to the workspace's token: {refusal.text}", reason=Reason.DENIED)
    if refusal.status == 404 and "record with ID" in refusal.message:
        return target.record_error(refusal.quoted())
    if refusal.status in (403, 404):
        return None
    if refusal.status in (400, 409, 422):
        return _invalid(refusal, target)
    return Unavailable(f"Airtable answered with {refusal.text}", reason=Reason.AIRTABLE_UNAVAILABLE)


def _invalid(refusal: Refusal, target: Target) -> PyAirtableError:
    kind = refusal.kind
    if kind == "UNKNOWN_FIELD_NAME":
        return target.field_error(refusal.quoted())
    if kind == "ROW_DOES_NOT_EXIST":
        words = refusal.message.split()
        return target.record_error(next((word for word in words if word.startswith("rec")), target.record_id))
    if kind in ("VIEW_NAME_NOT_FOUND", "VIEW_ID_NOT_FOUND"):
        return target.error(Reason.VIEW_NOT_FOUND, f'table "{target.table}" has no view "{target.view}"')
    if kind == "INVALID_FILTER_BY_FORMULA":
        return InvalidInput.at("filter_by_formula", refusal.text, reason=Reason.INVALID_FORMULA)
    if kind in EXPIRED_OFFSETS:
        return InvalidInput.at(
            "page_token", "it has expired: start the listing again", reason=Reason.PAGE_TOKEN_INVALID
        )
    field = field_of(refusal)
    if field:
        return InvalidInput.at(f"fields.{field}", refusal.text)
    return InvalidInput(f"Airtable refuses the request: {refusal.text}")


def field_of(refusal: Refusal) -> str:
    """The field that a 422 is about, where Airtable names it; empty where not."""
    names_field = refusal.kind in ("UNKNOWN_FIELD_NAME", "INVALID_VALUE_FOR_COLUMN")
    return refusal.quoted() if names_field else ""


class Explainer:
    """Explains refusals, looking at Airtable where the answer itself does not tell."""

    def __init__(self, make: Make) -> None:
        self._make = make

    async def error(self, refusal: Refusal, target: Target, errand: Errand) -> PyAirtableError:
        """The typed error for a refusal. Costs up to two calls when something was not found."""
        known = explain(refusal, target)
        if known is not None:
            return known
        if not target.base_id:
            return Denied(f"Airtable does not allow this to the workspace's token: {refusal.text}")
        tables = await self._visible_tables(target, errand)
        if tables is None:
            return await self._without_schema(target, errand)
        return await self._with_schema(tables, target, refusal, errand)

    async def _visible_tables(self, target: Target, errand: Errand) -> list[wire.Json] | None:
        try:
            tables: list[wire.Json] = (await self._make(wire.base_schema(target.base_id), errand))["tables"]
        except Refusal:
            return None
        return tables

    async def _without_schema(self, target: Target, errand: Errand) -> PyAirtableError:
        """The base is not there, or the token may not read schemas: records tell which."""
        base = target.error(
            Reason.BASE_NOT_FOUND, f'Airtable has no base "{target.base_id}", or the workspace\'s token may not see it'
        )
        if not target.table:
            return base
        try:
            await self._make(wire.list_records(target.base_id, target.table, wire.Listing(), page_size=1), errand)
        except Refusal:
            return base
        return await self._in_table(target, errand)

    async def _with_schema(
        self, tables: list[wire.Json], target: Target, refusal: Refusal, errand: Errand
    ) -> PyAirtableError:
        if not target.table:
            return Denied(f"Airtable does not allow this to the workspace's token: {refusal.text}")
        table = find(tables, target.table)
        if table is None:
            names = ", ".join(sorted(str(item["name"]) for item in tables))
            text = f'base "{target.base_id}" has no table "{target.table}": it has {names}'
            return target.error(Reason.TABLE_NOT_FOUND, text)
        if target.field and find(table["fields"], target.field) is None:
            return target.field_error(target.field)
        return await self._in_table(target, errand)

    async def _in_table(self, target: Target, errand: Errand) -> PyAirtableError:
        """The table is there, so that it must be the record, the comment or a right."""
        denied = Denied(f'the workspace\'s Airtable token may not do this in table "{target.table}"')
        if not target.record_id:
            return denied
        call = wire.get_record(target.base_id, target.table, target.record_id, wire.Shape())
        try:
            await self._make(call, errand)
        except Refusal:
            return target.record_error(target.record_id)
        if target.comment_id:
            text = f'record "{target.record_id}" has no comment "{target.comment_id}"'
            return target.error(Reason.COMMENT_NOT_FOUND, text)
        return denied


def find(things: list[wire.Json], reference: str) -> wire.Json | None:
    """A table, field or view by id or name."""
    return next((thing for thing in things if reference in (thing["id"], thing["name"])), None)
