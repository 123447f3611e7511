"""Which tables of a base changed since they were accepted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """A table as Airtable shows it; the fingerprint changes with its name, fields and views."""

    id: str
    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs. Names of tables; those that were renamed as (old, new) and not among the changed ones."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.renamed or self.changed)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of all tables that differ, the new name of a renamed one."""
        names = {*self.added, *self.removed, *self.changed, *(new for _, new in self.renamed)}
        return tuple(sorted(names))

    def __str__(self) -> str:
        parts = [f'"{old}" is now "{new}"' for old, new in self.renamed]
        for word, names in (("added", self.added), ("removed", self.removed), ("changed", self.changed)):
            if names:
                parts.append(f"{word} " + ", ".join(f'"{name}"' for name in names))
        return "; ".join(parts)


def compare_tables(accepted: Iterable[Table], seen: Iterable[Table]) -> Drift:
    """Tables are told apart by id. A rename changes the fingerprint by itself, so only the rename is told."""
    old, new = {table.id: table for table in accepted}, {table.id: table for table in seen}
    both = [(old[key], new[key]) for key in old.keys() & new.keys()]
    return Drift(
        added=_names(new[key] for key in new.keys() - old.keys()),
        removed=_names(old[key] for key in old.keys() - new.keys()),
        renamed=tuple(sorted((was.name, now.name) for was, now in both if was.name != now.name)),
        changed=_names(now for was, now in both if was.name == now.name and was.fingerprint != now.fingerprint),
    )


def accepts(annotation: str, fingerprint: str) -> bool:
    """Whether the annotation accepts the schema seen now.

    A fingerprint accepts that schema only, so that a change which comes after the look is not waved through.
    """
    return annotation == "true" or (bool(annotation) and annotation == fingerprint)


def read_tables(entries: Sequence[Mapping[str, Any]]) -> list[Table]:
    """From a status."""
    return [Table(entry["id"], entry["name"], entry["fingerprint"]) for entry in entries]


def show_tables(tables: Iterable[Table]) -> list[dict[str, str]]:
    """For a status, ordered by id, so that the same tables give the same status."""
    ordered = sorted(tables, key=lambda table: table.id)[:1000]
    return [{"id": table.id, "name": table.name[:255], "fingerprint": table.fingerprint} for table in ordered]


def _names(tables: Iterable[Table]) -> tuple[str, ...]:
    return tuple(sorted(table.name for table in tables))
