"""The record calls: list, get, create, update, upsert, delete (Airtable docs: records).

A call with several records is all or nothing: every row is checked before any is written.
"""

from dataclasses import dataclass
from typing import Any

from pyairtable_devkit.airtable import errors, parameters
from pyairtable_devkit.airtable.cells import Draft
from pyairtable_devkit.airtable.emulator import Call, Emulator
from pyairtable_devkit.airtable.ids import is_id
from pyairtable_devkit.airtable.model import DATE_TYPES, NUMBER_TYPES, SELECT_TYPES, TEXT_TYPES, Cells, Record, Table
from pyairtable_devkit.airtable.render import Shape

WRITE_LIMIT = 10
_ACCEPTED_WHEN_OVERSIZED = 50
_MERGE_TYPES = TEXT_TYPES | NUMBER_TYPES | SELECT_TYPES | DATE_TYPES | {"rating"}
_EXAMPLES = {
    "create": 'record objects, each with a "fields" object for cell values.',
    "update": 'record objects, each with an "id" ID field and a "fields" object for cell values.',
    "upsert": 'record objects, each with a "fields" object for cell values.',
    "delete": "record IDs.",
}


@dataclass(slots=True)
class _Row:
    """One row of a write: an existing record or None, and the cells it will get."""

    record: Record | None
    cells: Cells


def list_records(emulator: Emulator, call: Call) -> Any:
    """GET /{base}/{table} and POST /{base}/{table}/listRecords: one page."""
    base, table = call.base, call.table
    if call.method == "POST":
        options = parameters.from_body(call.body_object(), call.query)
    else:
        options = parameters.from_query(call.query)
    wanted = parameters.listing(options, table, emulator.settings)
    rows, offset = emulator.listings.page(base, table, wanted, emulator.settings.offset_lifetime)
    answer: dict[str, Any] = {"records": emulator.renderer(call).records(table, rows, wanted.shape)}
    if offset is not None:
        answer["offset"] = offset
    return answer


def get_record(emulator: Emulator, call: Call) -> Any:
    """GET /{base}/{table}/{rec}."""
    record = existing(emulator, call)
    shape = parameters.shape(parameters.from_query(call.query), call.table)
    return emulator.renderer(call).record(call.table, record, shape)


def create_records(emulator: Emulator, call: Call) -> Any:
    """POST /{base}/{table}: one record by `fields` or several by `records`."""
    body = call.body_object()
    draft, shape = _draft(emulator, call, body), _shape(call, body)
    if "records" not in body:
        cells = _checked(emulator, call, draft, _fields(body))
        written = _write(emulator, call, draft, [_Row(None, cells)])
        return emulator.renderer(call).record(call.table, written[0], shape)
    items = _items(emulator, body["records"], "create")
    rows = [_Row(None, _checked(emulator, call, draft, item["fields"])) for item in items]
    written = _write(emulator, call, draft, rows)
    return {"records": emulator.renderer(call).records(call.table, written, shape)}


def update_record(emulator: Emulator, call: Call) -> Any:
    """PATCH and PUT /{base}/{table}/{rec}."""
    record = existing(emulator, call)
    body = call.body_object()
    draft, shape = _draft(emulator, call, body), _shape(call, body)
    row = _Row(record, _checked(emulator, call, draft, _fields(body), record))
    _write(emulator, call, draft, [row])
    return emulator.renderer(call).record(call.table, record, shape)


def update_records(emulator: Emulator, call: Call) -> Any:
    """PATCH and PUT /{base}/{table}: several records by id, or an upsert."""
    body = call.body_object()
    if body.get("performUpsert") is not None:
        return _upsert(emulator, call, body)
    draft, shape = _draft(emulator, call, body), _shape(call, body)
    items = _items(emulator, body.get("records"), "update")
    _once_each([item["id"] for item in items])
    rows = []
    for item in items:
        record = _row_by_id(call.table, item["id"])
        rows.append(_Row(record, _checked(emulator, call, draft, item["fields"], record)))
    written = _write(emulator, call, draft, rows)
    return {"records": emulator.renderer(call).records(call.table, written, shape)}


def delete_record(emulator: Emulator, call: Call) -> Any:
    """DELETE /{base}/{table}/{rec}."""
    record = existing(emulator, call)
    with emulator.change(call.base, call.token.user_id) as change:
        change.delete(call.table, record)
    return {"id": record.id, "deleted": True}


def delete_records(emulator: Emulator, call: Call) -> Any:
    """DELETE /{base}/{table}?records[]=...: several, or none if one is missing."""
    ids = parameters.from_query(call.query).get("records")
    if not isinstance(ids, list) or not 0 < len(ids) <= write_limit(emulator):
        raise _invalid_records("delete")
    _once_each(ids)
    for key in ids:
        if key not in call.table.records:
            raise errors.typed(404, "NOT_FOUND", f'Could not find a record with ID "{key}".')
    with emulator.change(call.base, call.token.user_id) as change:
        for key in ids:
            change.delete(call.table, call.table.records[key])
    return {"records": [{"id": key, "deleted": True} for key in ids]}


def existing(emulator: Emulator, call: Call) -> Record:
    """The record named in the path; the refusal for a missing one is a switch, as sources disagree."""
    record = call.table.records.get(call.params["rec"])
    if record is not None:
        return record
    if emulator.settings.missing_record == "404":
        raise errors.typed(404, "MODEL_ID_NOT_FOUND", "Record not found")
    raise errors.not_permitted_or_found()


def write_limit(emulator: Emulator) -> int:
    """Records a write may hold: 10, or what one live check saw accepted."""
    return WRITE_LIMIT if emulator.settings.oversized_writes == "refuse" else _ACCEPTED_WHEN_OVERSIZED


def _upsert(emulator: Emulator, call: Call, body: dict[str, Any]) -> Any:
    merge = _merge_fields(call.table, body["performUpsert"])
    draft, shape = _draft(emulator, call, body), _shape(call, body)
    by_key: dict[tuple[Any, ...], list[Record]] | None = None
    rows = []
    for item in _items(emulator, body.get("records"), "upsert"):
        record = _row_by_id(call.table, item["id"]) if "id" in item else None
        cells = _checked(emulator, call, draft, item["fields"], record)
        if "id" not in item:
            by_key = by_key if by_key is not None else _index(call.table, merge)
            matches = by_key.get(tuple(_hashable(cells.get(key)) for key in merge), [])
            if len(matches) > 1:
                raise errors.bad_request("Cannot upsert: more than one record matches fieldsToMergeOn")
            record = matches[0] if matches else None
            if record is not None and call.method == "PUT":
                cells = _cleared(call.table) | cells
        rows.append(_Row(record, cells))
    _once_each([row.record.id for row in rows if row.record is not None])
    written = _write(emulator, call, draft, rows)
    created = [new.id for new, row in zip(written, rows, strict=True) if row.record is None]
    return {
        "records": emulator.renderer(call).records(call.table, written, shape),
        "createdRecords": created,
        "updatedRecords": [new.id for new in written if new.id not in created],
    }


def _merge_fields(table: Table, options: Any) -> list[str]:
    names = options.get("fieldsToMergeOn") if isinstance(options, dict) else None
    if not isinstance(names, list) or not 1 <= len(names) <= 3:
        raise errors.bad_request()
    ids = [parameters.field_id(table, name if isinstance(name, str) else str(name)) for name in names]
    if any(table.fields[key].type not in _MERGE_TYPES for key in ids):
        raise errors.bad_request()
    return ids


def _index(table: Table, merge: list[str]) -> dict[tuple[Any, ...], list[Record]]:
    index: dict[tuple[Any, ...], list[Record]] = {}
    for record in table.records.values():
        key = tuple(_hashable(record.cells.get(field_id)) for field_id in merge)
        index.setdefault(key, []).append(record)
    return index


def _hashable(value: Any) -> Any:
    return tuple(sorted(value)) if isinstance(value, list) else value


def _draft(emulator: Emulator, call: Call, body: dict[str, Any]) -> Draft:
    world = emulator.world
    flag = body.get("typecast", False)
    if not isinstance(flag, bool):
        raise errors.bad_request()
    return Draft(call.base, world.values(call.base), world.users, world.ids, typecast=flag)


def _shape(call: Call, body: dict[str, Any]) -> Shape:
    """Writes take returnFieldsByFieldId in the body; some clients leave it in the query."""
    names = ("returnFieldsByFieldId", "cellFormat", "timeZone", "userLocale")
    options = parameters.from_query(call.query) | {name: body[name] for name in names if name in body}
    return parameters.shape({name: options[name] for name in names if name in options}, call.table)


def _fields(body: dict[str, Any]) -> dict[str, Any]:
    fields = body.get("fields")
    if fields is None:
        message = 'Could not find field "fields" in the request body'
        raise errors.typed(422, "INVALID_REQUEST_MISSING_FIELDS", message)
    if not isinstance(fields, dict):
        raise errors.bad_request()
    return fields


def _items(emulator: Emulator, value: Any, action: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not 0 < len(value) <= write_limit(emulator):
        raise _invalid_records(action)
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("fields"), dict):
            raise _invalid_records(action)
        if action == "update" or (action == "upsert" and "id" in item):
            if not isinstance(item.get("id"), str):
                raise _invalid_records(action)
            if not is_id(item["id"], "rec"):
                raise errors.invalid_record_id(item["id"])
    return value


def _invalid_records(action: str) -> errors.ApiError:
    message = f"You must provide an array of up to {WRITE_LIMIT} {_EXAMPLES[action]}"
    return errors.typed(422, "INVALID_RECORDS", message)


def _once_each(ids: list[str]) -> None:
    if len(set(ids)) != len(ids):
        raise errors.bad_request("You cannot update the same record multiple times in a single request.")


def _row_by_id(table: Table, record_id: str) -> Record:
    record = table.records.get(record_id)
    if record is None:
        raise errors.row_does_not_exist(record_id)
    return record


def _checked(
    emulator: Emulator, call: Call, draft: Draft, fields: dict[str, Any], record: Record | None = None
) -> Cells:
    """The written fields as cells by field id; a PUT on an existing record clears the others."""
    table = call.table
    cells: Cells = {}
    for name, value in fields.items():
        target = table.field(name)
        if target is None:
            raise errors.unknown_field(name)
        if target.is_computed and emulator.settings.computed_writes == "drop":
            continue
        cells[target.id] = draft.accept(table, target, value, record)
    if record is not None and call.method == "PUT":
        cells = _cleared(table) | cells
    return cells


def _cleared(table: Table) -> Cells:
    return {key: None for key, target in table.fields.items() if not target.is_computed}


def _write(emulator: Emulator, call: Call, draft: Draft, rows: list[_Row]) -> list[Record]:
    """Makes what the draft needs, then writes all rows in one transaction."""
    written = []
    with emulator.change(call.base, call.token.user_id) as change:
        for target, name in draft.new_choices:
            change.add_choice(target, name)
        for (table_id, text), record_id in draft.new_rows.items():
            other = call.base.tables[table_id]
            change.create(other, {other.primary_id: text}, record_id)
        for row in rows:
            if row.record is None:
                written.append(change.create(call.table, row.cells))
            else:
                change.update(call.table, row.record, row.cells)
                written.append(row.record)
    emulator.attachments.fetch_new(call.table, written)
    return written
