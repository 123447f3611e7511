"""The templates can be made in Airtable: types, options, primary fields, links, names."""

from __future__ import annotations

import pytest
from google.protobuf.json_format import MessageToDict

from pyairtable_platform.workspaces.templates.catalogue import Template, templates
from pyairtable_platform.workspaces.templates.making import table_message

# Airtable docs, "Field types and cell values": what can be created by the API, and be primary.
PLAIN = {"singleLineText", "multilineText", "richText", "email", "url", "phoneNumber", "barcode"}
WITH_OPTIONS = {"number", "percent", "currency", "duration", "checkbox", "date", "dateTime"}
SELECTS = {"singleSelect", "multipleSelects"}
PRIMARY = {"singleLineText", "email", "url", "phoneNumber", "number", "date"}

every_template = pytest.mark.parametrize("template", templates(), ids=lambda template: template.name)


@every_template
def test_fields_are_of_types_that_can_be_made(template: Template) -> None:
    for table in template.tables:
        assert table.fields[0].type in PRIMARY
        for field in table.fields:
            assert field.type in PLAIN | WITH_OPTIONS | SELECTS | {"multipleRecordLinks"}, field
            assert bool(field.options) == (field.type in WITH_OPTIONS), field
            assert bool(field.choices) == (field.type in SELECTS), field
            assert bool(field.link) == (field.type == "multipleRecordLinks"), field
            assert len(set(field.choices)) == len(field.choices)


@every_template
def test_names_are_distinct_whatever_their_case(template: Template) -> None:
    assert len({table.name.casefold() for table in template.tables}) == len(template.tables)
    for table in template.tables:
        assert len({field.name.casefold() for field in table.fields}) == len(table.fields)


@every_template
def test_links_lead_to_tables_before_and_leave_room_for_the_inverse(template: Template) -> None:
    """Airtable calls the inverse field as the table that links; a second one gets a number."""
    seen: dict[str, set[str]] = {}
    for table in template.tables:
        for field in table.fields:
            if field.link:
                assert field.link in seen, f"{table.name}.{field.name}"
                assert table.name.casefold() not in seen[field.link], f"{field.link} has a field {table.name}"
        seen[table.name] = {field.name.casefold() for field in table.fields}


@every_template
def test_messages_say_everything(template: Template) -> None:
    ids = {table.name.casefold(): f"tbl{number:014}" for number, table in enumerate(template.tables)}
    for table in template.tables:
        message = table_message(table, ids)
        assert [field.name for field in message.fields] == [field.name for field in table.fields]
        for field, made in zip(table.fields, message.fields, strict=True):
            options = MessageToDict(made.options)
            if field.link:
                assert options == {"linkedTableId": ids[field.link.casefold()]}
            if field.choices:
                assert [choice["name"] for choice in options["choices"]] == list(field.choices)
