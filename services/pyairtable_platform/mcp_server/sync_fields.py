"""Which fields of two tables belong together, and how cells are carried over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .cells import Kind, is_computed, is_empty, is_number, kind_of
from .lookup import match
from .model import Field, Table

_TAKES: dict[Kind, frozenset[Kind]] = {
    "text": frozenset({"text", "select"}),
    "number": frozenset({"number"}),
    "checkbox": frozenset({"checkbox"}),
    "date": frozenset({"date"}),
    "date_time": frozenset({"date_time", "date"}),
    "select": frozenset({"select", "text"}),
    "selects": frozenset({"selects"}),
    "links": frozenset({"links"}),
    "attachments": frozenset({"attachments"}),
    "collaborator": frozenset({"collaborator"}),
    "collaborators": frozenset({"collaborators"}),
    "barcode": frozenset({"barcode"}),
}
"""What a field of each kind can be given without guessing."""


@dataclass(frozen=True, slots=True)
class FieldPair:
    """A field of the source and the field of the target that receives its cells."""

    source: Field
    target: Field

    def same(self, given: Any, present: Any) -> bool:
        """True when writing `given` would change nothing."""
        return bool(self._comparable(given) == self._comparable(present))

    def convert(self, value: Any) -> Any:
        """A source cell as the target takes it; None clears."""
        if is_empty(value):
            return None
        kind = kind_of(self.target)
        if kind == "attachments":
            return [{"url": item["url"], "filename": item["filename"]} for item in value]
        if kind == "collaborator":
            return {"id": value["id"]}
        if kind == "collaborators":
            return [{"id": item["id"]} for item in value]
        if kind == "date_time" and kind_of(self.source) == "date":
            return f"{value}T00:00:00.000Z"
        return value

    def missing_choice(self, value: Any) -> str:
        """A sentence about a choice that the target does not have; empty when all is well."""
        if kind_of(self.target) not in ("select", "selects") or is_empty(value):
            return ""
        known = {str(choice.get("name")) for choice in self.target.options.get("choices") or []}
        unknown = [str(item) for item in (value if isinstance(value, list) else [value]) if str(item) not in known]
        if not unknown:
            return ""
        return f"{self.target.name} has no choice {unknown[0]!r}: add it, or set typecast"

    def _comparable(self, value: Any) -> Any:
        """Equal for cells that mean the same in the target; order does not count in lists."""
        if is_empty(value):
            return None
        kind = kind_of(self.target)
        if kind == "number" and is_number(value):
            return self._rounded(float(value))
        if kind == "date_time" and isinstance(value, str):
            return _moment(value)
        if kind == "text" and isinstance(value, str):
            # Airtable ends rich text with a line break of its own.
            return value.rstrip("\n") if self.target.type == "richText" else value
        if isinstance(value, list):
            return sorted(repr(_identity(item)) for item in value)
        return _identity(value)

    def _rounded(self, value: float) -> float:
        """The number as the target keeps it; a percentage of precision 1 is a fraction with three decimals."""
        precision = self.target.options.get("precision")
        if not isinstance(precision, int):
            return value
        return round(value, precision + 2 if self.target.type == "percent" else precision)


@dataclass(frozen=True, slots=True)
class SkippedField:
    """A field that takes no part, and why."""

    field: str
    reason: str


def pair_fields(
    source: Table, target: Table, *, only: frozenset[str] = frozenset()
) -> tuple[list[FieldPair], list[SkippedField]]:
    """Fields by name, and those of the source that have no place to go; `only` are source field ids, empty is all."""
    pairs: list[FieldPair] = []
    skipped: list[SkippedField] = []
    for field in source.fields:
        if only and field.id not in only:
            continue
        found = match(target.fields, field.name)
        reason = "the target table has no field of this name" if found is None else mismatch(field, found)
        if found is None or reason:
            skipped.append(SkippedField(field.name, reason))
        else:
            pairs.append(FieldPair(field, found))
    return pairs, skipped


def mismatch(source: Field, target: Field) -> str:
    """Why the target field cannot be given the source's cells; empty when it can."""
    if is_computed(target):
        return f"the target field is computed ({target.type})"
    given, wanted = kind_of(source), kind_of(target)
    if given not in _TAKES.get(wanted, frozenset()):
        return f"{source.type} does not fit into {target.type}"
    if wanted == "links" and source.options.get("linkedTableId") != target.options.get("linkedTableId"):
        return "the two fields link to different tables"
    return ""


def _moment(value: str) -> Any:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _identity(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "filename" in value:
        return ("file", value.get("filename"), value.get("size"))
    return value.get("id") or value.get("text") or repr(sorted(value.items()))
