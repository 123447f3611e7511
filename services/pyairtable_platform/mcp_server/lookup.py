"""Finding tables and fields by id or name, and saying which there are when one is not found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from pyairtable_platform.common.errors import FieldViolation, NotFound, Reason

from .model import BaseSchema, Field, Table

T = TypeVar("T", Table, Field)

_NAMES_SHOWN = 20


def find_table(schema: BaseSchema, reference: str, *, argument: str = "table_id") -> Table:
    """The table with this id or name; the case of letters decides only where two names differ by nothing else."""
    found = match(schema.tables, reference)
    if found is None:
        raise _missing("table", reference, schema.tables, Reason.TABLE_NOT_FOUND, argument)
    return found


def find_field(table: Table, reference: str, *, argument: str = "fields") -> Field:
    """The field with this id or name, as `find_table`."""
    found = match(table.fields, reference)
    if found is None:
        raise _missing(f"field of {table.name}", reference, table.fields, Reason.FIELD_NOT_FOUND, argument)
    return found


def find_fields(table: Table, references: Sequence[str], *, argument: str = "fields") -> list[Field]:
    """Each of the fields once, in the order asked for."""
    found = [find_field(table, item, argument=f"{argument}[{at}]") for at, item in enumerate(references)]
    return list({field.id: field for field in found}.values())


def match(things: Iterable[T], reference: str) -> T | None:
    """By id, else by exact name, else by name whatever the case of its letters; None when there is none."""
    candidates = list(things)
    folded = reference.strip().casefold()
    return (
        next((thing for thing in candidates if thing.id == reference), None)
        or next((thing for thing in candidates if thing.name == reference), None)
        or next((thing for thing in candidates if thing.name.strip().casefold() == folded), None)
    )


def _missing(what: str, reference: str, things: Iterable[T], reason: Reason, argument: str) -> NotFound:
    names = [thing.name for thing in things]
    near = difflib.get_close_matches(reference, names, n=3, cutoff=0.6)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        hint = f"there are: {', '.join(names[:_NAMES_SHOWN])}{more}"
    sentence = f"there is no {what} {reference!r}; {hint}"
    return NotFound(sentence, reason=reason, violations=[FieldViolation(argument, sentence)])
