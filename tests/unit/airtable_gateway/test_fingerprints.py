"""Fingerprints of schemas: blind to order and looks, sharp for everything that a program could notice."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyairtable_platform.airtable_gateway.fingerprints import base_fingerprint, table_fingerprint
from pyairtable_platform.airtable_gateway.verify import VerifiedBase, with_tables

CHOICES = [{"id": "selA", "name": "Open", "color": "blueLight2"}, {"id": "selB", "name": "Done", "color": "red"}]
TABLE: dict[str, Any] = {
    "id": "tblOne",
    "name": "Projects",
    "description": "What we build",
    "fields": [
        {"id": "fldA", "name": "Name", "type": "singleLineText"},
        {"id": "fldB", "name": "State", "type": "singleSelect", "options": {"choices": CHOICES}},
        {"id": "fldC", "name": "Sum", "type": "formula", "options": {"isValid": True, "formula": "1"}},
    ],
    "views": [{"id": "viwA", "name": "All", "type": "grid"}, {"id": "viwB", "name": "Form", "type": "form"}],
}


def changed(*path: Any, value: Any) -> dict[str, Any]:
    """The table with another value somewhere."""
    table = copy.deepcopy(TABLE)
    place: Any = table
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return table


@settings(max_examples=30)
@given(data=st.data())
def test_the_order_in_which_airtable_tells_it_does_not_matter(data: st.DataObject) -> None:
    table = copy.deepcopy(TABLE)
    table["fields"] = data.draw(st.permutations(table["fields"]))
    table["views"] = data.draw(st.permutations(table["views"]))
    for field in table["fields"]:
        if "choices" in field.get("options", {}):
            field["options"]["choices"] = data.draw(st.permutations(CHOICES))
    keys = data.draw(st.permutations(list(table)))
    assert table_fingerprint({key: table[key] for key in keys}) == table_fingerprint(TABLE)


@pytest.mark.parametrize(
    "table",
    [
        changed("description", value="Other words"),
        changed("fields", 0, "description", value="Other words"),
        changed("fields", 1, "options", "choices", 0, "color", value="green"),
        changed("primaryFieldId", value="fldA"),
    ],
)
def test_what_only_people_see_does_not_matter(table: dict[str, Any]) -> None:
    assert table_fingerprint(table) == table_fingerprint(TABLE)


@pytest.mark.parametrize(
    "table",
    [
        changed("name", value="Other"),
        changed("fields", 0, "name", value="Title"),
        changed("fields", 0, "type", value="multilineText"),
        changed("fields", 1, "options", "choices", 0, "name", value="New"),
        changed("fields", 2, "options", "formula", value="2"),
        changed("fields", value=TABLE["fields"][:2]),
        changed("views", 1, "name", value="Other"),
        changed("views", value=[]),
    ],
)
def test_what_a_program_could_notice_matters(table: dict[str, Any]) -> None:
    assert table_fingerprint(table) != table_fingerprint(TABLE)


def test_fingerprints_stay_from_one_release_to_the_next() -> None:
    """They stand in the status of bindings: another way to make them would look like a drift of every base."""
    assert table_fingerprint(TABLE) == "4cd49ac600b695ee"
    assert base_fingerprint([("tblOne", "0" * 16)]) == "06bb8981380adc5c"


def test_a_base_is_told_by_its_tables_whatever_their_order() -> None:
    other = {**TABLE, "id": "tblTwo", "name": "archive"}
    one, two = with_tables(VerifiedBase("app"), [TABLE, other]), with_tables(VerifiedBase("app"), [other, TABLE])
    assert one == two
    assert [table.name for table in one.tables] == ["archive", "Projects"]
    assert one.fingerprint != with_tables(VerifiedBase("app"), [TABLE]).fingerprint
