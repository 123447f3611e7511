"""The metadata calls: who am I, bases, schema, and creating and changing tables and fields."""

from typing import Any

from pyairtable_devkit.airtable import computed_options, errors
from pyairtable_devkit.airtable.emulator import Call, Emulator
from pyairtable_devkit.airtable.fields import (
    CREATABLE_TYPES,
    FIELD_TYPES,
    MAX_DESCRIPTION,
    PRIMARY_TYPES,
    connect,
    make_field,
    refuse_type,
)
from pyairtable_devkit.airtable.model import Base, Field, Table, View
from pyairtable_devkit.airtable.schema_json import field_json, table_json

_BASES_PER_PAGE = 1000


def whoami(emulator: Emulator, call: Call) -> Any:
    """GET /meta/whoami; the e-mail address needs its own scope, scopes are told to OAuth tokens only."""
    user = emulator.world.users[call.token.user_id]
    answer = {"id": user.id}
    if "user.email:read" in call.token.scopes:
        answer["email"] = user.email
    return answer


def list_bases(emulator: Emulator, call: Call) -> Any:
    """GET /meta/bases: the bases this token may see, a thousand a page."""
    seen = [base for base in emulator.world.bases.values() if call.token.may(base.id, "read")]
    ids = [base.id for base in seen]
    offset = dict(call.query).get("offset")
    if offset and offset not in ids:
        raise errors.typed(422, "INVALID_OFFSET_VALUE", f"The value of offset {offset} is invalid")
    start = ids.index(offset) if offset else 0
    end = start + _BASES_PER_PAGE
    answer: dict[str, Any] = {
        "bases": [
            {"id": base.id, "name": base.name, "permissionLevel": call.token.role_in(base.id)}
            for base in seen[start:end]
        ]
    }
    if end < len(ids):
        answer["offset"] = ids[end]
    return answer


def base_schema(emulator: Emulator, call: Call) -> Any:
    """GET /meta/bases/{base}/tables."""
    wanted = {value for name, value in call.query if name in ("include", "include[]", "include[0]")}
    if wanted - {"visibleFieldIds"}:
        raise errors.bad_request()
    visible = bool(wanted)
    return {"tables": [table_json(table, visible_fields=visible) for table in call.base.tables.values()]}


def create_base(emulator: Emulator, call: Call) -> Any:
    """POST /meta/bases: needs the creator role in the whole workspace and at least one table."""
    body = call.body_object()
    if call.token.role != "create":
        raise errors.role_too_low()
    workspace = body.get("workspaceId")
    if not isinstance(workspace, str) or workspace not in emulator.world.workspaces:
        raise errors.not_permitted_or_found()
    tables = body.get("tables")
    if not isinstance(tables, list) or not tables:
        raise errors.bad_request()
    base = Base(emulator.world.ids.new("app"), _name(body), workspace)
    for wanted in tables:
        _add_table(emulator, base, wanted)
    emulator.world.bases[base.id] = base
    return {"id": base.id, "tables": [table_json(table) for table in base.tables.values()]}


def create_table(emulator: Emulator, call: Call) -> Any:
    """POST /meta/bases/{base}/tables."""
    with emulator.schema_change(call.base, call.token.user_id):
        table = _add_table(emulator, call.base, call.body_object())
    return table_json(table)


def update_table(emulator: Emulator, call: Call) -> Any:
    """PATCH /meta/bases/{base}/tables/{table}: name and description."""
    body, table = call.body_object(), call.table
    if not set(body) & {"name", "description", "dateDependencySettings"}:
        raise errors.bad_request()
    with emulator.schema_change(call.base, call.token.user_id):
        if "name" in body:
            name = _name(body)
            _refuse_taken_table(call.base, name, table)
            table.name = name
        if "description" in body:
            table.description = _description(body)
        if "dateDependencySettings" in body:
            table.date_dependency = _date_dependency(body)
    return table_json(table)


def create_field(emulator: Emulator, call: Call) -> Any:
    """POST /meta/bases/{base}/tables/{tbl}/fields."""
    with emulator.schema_change(call.base, call.token.user_id):
        field = _new_field(emulator, call.body_object())
        _refuse_taken_field(call.table, field.name)
        if field.type == "multipleRecordLinks":
            connect(call.base, call.table, field, emulator.world.ids)
        call.table.fields[field.id] = field
    return field_json(field)


def update_field(emulator: Emulator, call: Call) -> Any:
    """PATCH /meta/bases/{base}/tables/{tbl}/fields/{fld}: name, description, and a formula's text."""
    body, table = call.body_object(), call.table
    field = table.fields.get(call.params["fld"])
    if field is None:
        raise errors.not_permitted_or_found()
    if not set(body) & {"name", "description", "options"}:
        raise errors.bad_request()
    formula = _new_formula(field, body)
    if "name" in body:
        _refuse_taken_field(table, _name(body, field=True), field)
    description = _description(body) if "description" in body else field.description
    with emulator.schema_change(call.base, call.token.user_id):
        if formula is not None:
            _set_formula(emulator, call, field, formula)
        if "name" in body:
            field.name = body["name"].strip()
        field.description = description
    return field_json(field)


def _add_table(emulator: Emulator, base: Base, wanted: Any) -> Table:
    """Checks and adds a table; the first field becomes primary, a grid view appears."""
    if not isinstance(wanted, dict):
        raise errors.bad_request()
    name = _name(wanted)
    _refuse_taken_table(base, name)
    specs = wanted.get("fields")
    if not isinstance(specs, list) or not specs:
        raise errors.bad_request()
    made = [_new_field(emulator, spec) for spec in specs]
    if made[0].type not in PRIMARY_TYPES:
        raise errors.typed(422, "INVALID_PRIMARY_FIELD_TYPE", f"{made[0].type} cannot be the primary field")
    ids = emulator.world.ids
    table = Table(ids.new("tbl"), name, made[0].id, description=_description(wanted))
    for field in made:
        _refuse_taken_field(table, field.name)
        table.fields[field.id] = field
    for field in made:
        if field.type == "multipleRecordLinks" and field.option("linkedTableId") not in base.tables:
            raise errors.not_permitted_or_found()
    base.tables[table.id] = table
    for field in made:
        if field.type == "multipleRecordLinks":
            connect(base, table, field, ids)
    table.views.append(View(ids.new("viw"), "Grid view"))
    return table


def _new_field(emulator: Emulator, spec: Any) -> Field:
    if not isinstance(spec, dict):
        raise errors.bad_request()
    name, kind = _name(spec, field=True), spec.get("type")
    if kind in FIELD_TYPES - CREATABLE_TYPES:
        raise refuse_type(kind)
    if kind not in CREATABLE_TYPES:
        raise errors.bad_request()
    return make_field(emulator.world.ids.new("fld"), name, kind, spec.get("options"), _description(spec))


def _set_formula(emulator: Emulator, call: Call, field: Field, formula: str) -> None:
    """Gives a formula field another text; ApiError when it is invalid or would compute itself."""
    before = field.options
    field.options = computed_options.formula_options(call.table, formula)
    if emulator.world.values(call.base).is_circular(call.table, field):
        field.options = before
        raise computed_options.invalid_formula()


def _new_formula(field: Field, body: dict[str, Any]) -> str | None:
    """The formula text in the body, None if there is none; options of other types cannot be changed."""
    options = body.get("options")
    if options is None:
        return None
    formula = options.get("formula") if isinstance(options, dict) else None
    if field.type != "formula" or not isinstance(formula, str):
        raise errors.bad_request()
    return formula


def _name(body: dict[str, Any], *, field: bool = False) -> str:
    name = body.get("name")
    if isinstance(name, str) and name.strip():
        return name.strip()
    if field:
        raise errors.typed(422, "DUPLICATE_OR_EMPTY_FIELD_NAME", "Field name is duplicate or empty")
    raise errors.bad_request()


def _description(body: dict[str, Any]) -> str | None:
    text = body.get("description")
    if text is not None and (not isinstance(text, str) or len(text) > MAX_DESCRIPTION):
        raise errors.bad_request()
    return text or None


def _date_dependency(body: dict[str, Any]) -> dict[str, Any] | None:
    """Kept and shown; the emulator does not move dates by it."""
    settings = body["dateDependencySettings"]
    if settings is not None and not isinstance(settings, dict):
        raise errors.bad_request()
    return settings


def _refuse_taken_table(base: Base, name: str, own: Table | None = None) -> None:
    if any(table.name.casefold() == name.casefold() for table in base.tables.values() if table is not own):
        raise errors.typed(422, "DUPLICATE_TABLE_NAME", f'A table with the name "{name}" already exists')


def _refuse_taken_field(table: Table, name: str, own: Field | None = None) -> None:
    if any(field.name.casefold() == name.casefold() for field in table.fields.values() if field is not own):
        raise errors.typed(422, "DUPLICATE_OR_EMPTY_FIELD_NAME", "Field name is duplicate or empty")
