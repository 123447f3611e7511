"""What only Airtable's own interface can do, for tests of clients that must live with it.

Fields and tables disappear, and what depended on them is no longer valid; records change at other
people's hands (source `client`). Airtable's API offers none of this.
"""

from typing import Any

from pyairtable_devkit.airtable.cells import Draft
from pyairtable_devkit.airtable.emulator import Emulator
from pyairtable_devkit.airtable.errors import ApiError
from pyairtable_devkit.airtable.model import COMPUTED_TYPES, Base, Field, Table


class InterfaceError(ValueError):
    """Something the interface would not do; the message says why."""


def act(emulator: Emulator, wanted: dict[str, Any]) -> dict[str, Any]:
    """Carries out an action: delete_field, delete_table, rename_field or edit_record."""
    base = emulator.world.bases.get(str(wanted.get("base")))
    table = base.table(str(wanted.get("table"))) if base else None
    if base is None or table is None:
        raise InterfaceError(f"there is no table {wanted.get('table')!r} in base {wanted.get('base')!r}")
    user_id = next(iter(emulator.world.users))
    action = wanted.get("action")
    if action == "edit_record":
        _edit_record(emulator, base, table, wanted, user_id)
    elif action == "delete_table":
        with emulator.schema_change(base, user_id, "client"):
            _delete_table(base, table)
    elif action in ("delete_field", "rename_field"):
        field = table.field(str(wanted.get("field")))
        if field is None or (action == "delete_field" and field is table.primary):
            raise InterfaceError(f"{table.name} has no field {wanted.get('field')!r} that could be deleted or renamed")
        with emulator.schema_change(base, user_id, "client"):
            if action == "delete_field":
                delete_field(base, table, field)
            else:
                field.name = str(wanted.get("name") or field.name)
    else:
        raise InterfaceError("action must be one of delete_field, delete_table, rename_field, edit_record")
    return {"done": action}


def delete_field(base: Base, table: Table, field: Field) -> None:
    """Removes a field, a link together with its other end, and marks what was computed from it as invalid."""
    del table.fields[field.id]
    for record in table.records.values():
        record.cells.pop(field.id, None)
        record.revision += 1
    table.revision += 1
    for view in table.views:
        view.sort = [pair for pair in view.sort if pair[0] != field.id]
        view.hidden = [key for key in view.hidden if key != field.id]
        if view.formula is not None and (field.name in view.formula or field.id in view.formula):
            view.formula = None
    for other in base.tables.values():
        for target in list(other.fields.values()):
            if target.id == field.option("inverseLinkFieldId"):
                delete_field(base, other, target)
            elif target.type in COMPUTED_TYPES and field.id in _inputs(target):
                target.options = {**(target.options or {}), "isValid": False}


def _inputs(field: Field) -> set[str]:
    used = {field.option("recordLinkFieldId"), field.option("fieldIdInLinkedTable")}
    return used | set(field.option("referencedFieldIds") or ())


def _delete_table(base: Base, table: Table) -> None:
    for other in list(base.tables.values()):
        for field in list(other.fields.values()):
            if other is not table and field.option("linkedTableId") == table.id:
                delete_field(base, other, field)
    del base.tables[table.id]


def _edit_record(emulator: Emulator, base: Base, table: Table, wanted: dict[str, Any], user_id: str) -> None:
    record = table.records.get(str(wanted.get("record")))
    if record is None:
        raise InterfaceError(f"{table.name} has no record {wanted.get('record')!r}")
    world = emulator.world
    draft = Draft(base, world.values(base), world.users, world.ids)
    cells = {}
    for name, value in wanted.get("fields", {}).items():
        field = table.field(name)
        if field is None:
            raise InterfaceError(f"{table.name} has no field {name!r}")
        try:
            cells[field.id] = draft.accept(table, field, value, record)
        except ApiError as error:
            raise InterfaceError(f"{name}: {error.body}") from error
    with emulator.change(base, user_id, "client") as change:
        change.update(table, record, cells)
