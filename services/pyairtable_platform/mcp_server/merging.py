"""How several records could become one. Pure; whoever accepts a proposal carries it out with the write tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field as Described

from .cells import is_computed, is_empty, kind_of
from .comparing import cell_key
from .model import Field, Record, Table
from .tool import Result

_LISTS = ("links", "selects", "collaborators")


class CellConflict(Result):
    field: str
    kept: Any = Described(description="The value that the kept record has or is given.")
    other: Any = Described(description="The first value that differs.")
    record_id: str = Described(description="The record that has it.")


class MergeProposal(Result):
    keep: str = Described(description="The record to keep: the one with most filled cells, then the oldest.")
    fill: dict[str, Any] = Described(description="Cells to write into it, ready for update_record.")
    conflicts: list[CellConflict] = Described(description="Cells in which the records differ: decide by hand.")
    delete: list[str] = Described(description="Records to delete then.")


def propose(records: Sequence[Record], table: Table) -> MergeProposal:
    """Keep the fullest record, fill its empty cells from the others, join their lists, and name what differs."""
    fields = [field for field in table.fields if not is_computed(field)]
    kept, *others = sorted(records, key=lambda record: (-_filled(record, fields), record.created_time, record.id))
    fill: dict[str, Any] = {}
    conflicts: list[CellConflict] = []
    for field in fields:
        own = kept.fields.get(field.name)
        offers = [(other, value) for other in others if not is_empty(value := other.fields.get(field.name))]
        if kind_of(field) in _LISTS:
            joined = _joined([own, *(value for _, value in offers)])
            if len(joined) > len(own or []):
                fill[field.name] = joined
            continue
        if is_empty(own) and offers:
            own = offers[0][1]
            fill[field.name] = _writable(own, field)
        conflicts.extend(_conflict(field, own, offers))
    return MergeProposal(keep=kept.id, fill=fill, conflicts=conflicts, delete=[other.id for other in others])


def _conflict(field: Field, own: Any, offers: list[tuple[Record, Any]]) -> list[CellConflict]:
    """The first of the other records that says something else, if one does."""
    for other, value in offers:
        if cell_key(value, field) != cell_key(own, field):
            return [CellConflict(field=field.name, kept=own, other=value, record_id=other.id)]
    return []


def _joined(lists: Sequence[Sequence[Any] | None]) -> list[Any]:
    """The items of all lists, each once, in the order they first stand in; people as the id that Airtable writes."""
    items = [
        {"id": item["id"]} if isinstance(item, dict) and "id" in item else item for part in lists for item in part or []
    ]
    return list({repr(item): item for item in items}.values())


def _writable(value: Any, field: Field) -> Any:
    """A cell as Airtable takes it back: attachments by link, people by id."""
    kind = kind_of(field)
    if kind == "attachments":
        return [{"url": item["url"], "filename": item["filename"]} for item in value]
    if kind == "collaborator":
        return {"id": value["id"]}
    return value


def _filled(record: Record, fields: Sequence[Field]) -> int:
    return sum(not is_empty(record.fields.get(field.name)) for field in fields)
