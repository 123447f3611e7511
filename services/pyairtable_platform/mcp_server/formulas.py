"""Formulas built from what callers say, so that no text of theirs can end a literal or name another field.

Fields are named by id, texts quoted by pyairtable's rules (Airtable docs: "Formula field reference", string literals).
"""

from __future__ import annotations

from collections.abc import Sequence

from pyairtable.formulas import FIND, IF, ISERROR, LOWER, OR, RECORD_ID, Formula, quoted
from pyairtable.formulas import Field as FieldReference

from .cells import is_computed, kind_of
from .model import Field

_CONTROL_ESCAPES = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t"})


def text_literal(text: str) -> Formula:
    """A text as a literal. Line breaks and tabs as escapes: a literal may not run over lines."""
    return Formula(quoted(text).translate(_CONTROL_ESCAPES))


def contains_any(query: str, fields: Sequence[Field]) -> str:
    """True for records that show `query` in one of the fields, whatever the case of its letters.

    Airtable turns every cell into text here: numbers, choices, dates (ISO 8601), names of linked records and people.
    """
    needle = LOWER(text_literal(query))
    return str(OR([_contains(needle, field) for field in fields]))


def is_one_of(record_ids: Sequence[str]) -> str:
    """True for the records with these ids."""
    return str(OR([RECORD_ID().eq(text_literal(record_id)) for record_id in record_ids]))


def is_searchable(field: Field) -> bool:
    """True for fields whose text means something: a check mark and a button have none, an attachment's is its link."""
    return kind_of(field) not in ("checkbox", "button", "attachments")


def _contains(needle: Formula, field: Field) -> Formula:
    reference = FieldReference(field.id)
    found = FIND(needle, LOWER(Formula(f"{reference}&''")))
    if not is_computed(field):
        return found.gt(0)
    # One error in a computed cell would make the whole condition an error and hide the record.
    return IF(ISERROR(reference), 0, found).gt(0)
