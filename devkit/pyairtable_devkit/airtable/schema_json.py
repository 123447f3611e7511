"""Tables and fields as JSON: whole for the schema call, in short for webhook payloads."""

from typing import Any

from pyairtable_devkit.airtable.model import Field, Table, View


def table_json(table: Table, *, visible_fields: bool = False) -> dict[str, Any]:
    """A table as the schema shows it."""
    shown: dict[str, Any] = {
        "id": table.id,
        "name": table.name,
        "primaryFieldId": table.primary_id,
        "fields": [field_json(field) for field in table.fields.values()],
        "views": [_view_json(table, view, visible_fields) for view in table.views],
    }
    if table.description:
        shown["description"] = table.description
    if table.date_dependency is not None:
        shown["dateDependencySettings"] = table.date_dependency
    return shown


def field_json(field: Field) -> dict[str, Any]:
    """A field as the schema shows it."""
    shown: dict[str, Any] = {"id": field.id, "name": field.name, "type": field.type}
    if field.description:
        shown["description"] = field.description
    if field.options is not None:
        shown["options"] = field.options
    return shown


def table_info(table: Table) -> dict[str, Any]:
    """Name and description, as webhooks tell them."""
    return {"name": table.name, "description": table.description}


def field_info(field: Field) -> dict[str, Any]:
    """Name and type, as webhooks tell them."""
    return {"name": field.name, "type": field.type}


def _view_json(table: Table, view: View, visible_fields: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": view.id, "name": view.name, "type": view.type}
    if visible_fields and view.type == "grid":
        shown["visibleFieldIds"] = [key for key in table.fields if key not in view.hidden]
    return shown
