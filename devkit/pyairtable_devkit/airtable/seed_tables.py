"""The tables, fields and views of a seed, with the short forms that a seed may use for options."""

from typing import Any

from pyairtable_devkit.airtable import computed_options
from pyairtable_devkit.airtable.errors import ApiError
from pyairtable_devkit.airtable.fields import FIELD_TYPES, PRIMARY_TYPES, free_name, make_field
from pyairtable_devkit.airtable.ids import stable_id
from pyairtable_devkit.airtable.model import COMPUTED_TYPES, Base, Field, Table, View

Spec = dict[str, Any]

_DEFAULT_OPTIONS: dict[str, Spec] = {
    "number": {"precision": 0},
    "percent": {"precision": 0},
    "currency": {"precision": 2, "symbol": "€"},
    "duration": {"durationFormat": "h:mm"},
    "rating": {"icon": "star", "color": "yellowBright", "max": 5},
    "checkbox": {"icon": "check", "color": "greenBright"},
    "date": {"dateFormat": {"name": "iso"}},
    "dateTime": {"dateFormat": {"name": "iso"}, "timeFormat": {"name": "24hour"}, "timeZone": "utc"},
}


class SeedError(ValueError):
    """A seed file that cannot be used; the message names the base, table and field."""


def load_tables(base: Base, specs: list[Spec]) -> None:
    """Adds the tables to the base: first what stands alone, then links, then what is computed from them."""
    for spec in specs:
        _add_table(base, spec)
    for spec in specs:
        for field_spec in spec["fields"]:
            if field_spec["type"] == "multipleRecordLinks":
                _link(base, _table(base, spec["name"]), field_spec)
    waiting = [
        (_table(base, spec["name"]), field_spec)
        for spec in specs
        for field_spec in spec["fields"]
        if field_spec["type"] in COMPUTED_TYPES
    ]
    _compute(base, waiting)
    for spec in specs:
        _views(base, _table(base, spec["name"]), spec.get("views", [{"name": "Grid view"}]))


def _add_table(base: Base, spec: Spec) -> None:
    name = spec["name"]
    table_id = spec.get("id") or stable_id("tbl", base.id, name)
    table = Table(table_id, name, "", description=spec.get("description"))
    for field_spec in spec["fields"]:
        where = f"{base.name} / {name} / {field_spec.get('name')}"
        kind = field_spec.get("type")
        if not isinstance(field_spec.get("name"), str):
            raise SeedError(f"{where}: a field name must be text; YAML reads On, Yes and numbers otherwise")
        if kind not in FIELD_TYPES:
            raise SeedError(f"{where}: there is no field type {kind}")
        field_id = field_spec.get("id") or stable_id("fld", base.id, name, field_spec["name"])
        table.fields[field_id] = _plain_field(where, field_id, field_spec)
    table.primary_id = next(iter(table.fields))
    if table.primary.type not in PRIMARY_TYPES:
        raise SeedError(f"{base.name} / {name}: {table.primary.type} cannot be the primary field")
    base.tables[table_id] = table


def _plain_field(where: str, field_id: str, spec: Spec) -> Field:
    kind = spec["type"]
    if kind in COMPUTED_TYPES or kind == "multipleRecordLinks":
        return Field(field_id, spec["name"], kind, None, spec.get("description"))
    options: Spec | None = _DEFAULT_OPTIONS.get(kind, {}) | spec.get("options", {})
    if "choices" in spec and options is not None:
        options["choices"] = [item if isinstance(item, dict) else {"name": item} for item in spec["choices"]]
    try:
        return make_field(field_id, spec["name"], kind, options or None, spec.get("description"))
    except ApiError as error:
        raise SeedError(f"{where}: {error.body}") from error


def _link(base: Base, table: Table, spec: Spec) -> None:
    """Options of a link; `inverse` names the field at the other end, which is added unless it is declared."""
    field = _field(base, table, spec["name"])
    if field.options is not None:
        return
    other = _table(base, spec["to"])
    field.options = {
        "isReversed": False,
        "prefersSingleRecordLink": spec.get("single", False),
        "linkedTableId": other.id,
    }
    if other is table:
        return
    name = spec.get("inverse") or free_name(other, table.name)
    inverse = other.field(name)
    if inverse is None:
        inverse = Field(stable_id("fld", base.id, other.name, name), name, field.type)
        other.fields[inverse.id] = inverse
    inverse.options = {
        "isReversed": True,
        "prefersSingleRecordLink": spec.get("inverse_single", False),
        "linkedTableId": table.id,
        "inverseLinkFieldId": field.id,
    }
    field.options["inverseLinkFieldId"] = inverse.id


def _compute(base: Base, waiting: list[tuple[Table, Spec]]) -> None:
    """Options of computed fields, each after those it is computed from, so that results are known."""
    while waiting:
        left = [item for item in waiting if not _try_compute(base, *item)]
        if len(left) == len(waiting):
            names = ", ".join(f"{table.name} / {spec['name']}" for table, spec in left)
            raise SeedError(f"{base.name}: these computed fields depend on each other or on nothing known: {names}")
        waiting = left


def _try_compute(base: Base, table: Table, spec: Spec) -> bool:
    field, kind = _field(base, table, spec["name"]), spec["type"]
    if kind == "formula":
        return _try_formula(base, table, field, spec)
    if kind == "count":
        link = _field(base, table, spec["link"])
        field.options = {"isValid": True, "recordLinkFieldId": link.id}
    elif kind in ("rollup", "multipleLookupValues"):
        return _try_gather(base, table, field, spec)
    elif kind == "createdTime":
        field.options = {"result": {"type": "dateTime", "options": computed_options.UTC_TIME}}
    elif kind == "lastModifiedTime":
        field.options = {
            "isValid": True,
            "referencedFieldIds": [_field(base, table, name).id for name in spec.get("of", [])],
            "result": {"type": "dateTime", "options": computed_options.UTC_TIME},
        }
    elif kind == "button":
        field.options = {"label": spec.get("label", "Open"), "url": spec.get("url")}
    elif kind == "externalSyncSource":
        field.options = {
            "choices": [{"id": stable_id("sel", field.id, name), "name": name} for name in spec.get("choices", [])]
        }
    elif kind == "aiText":
        field.options = {"prompt": spec.get("prompt", []), "referencedFieldIds": []}
    return True


def _try_formula(base: Base, table: Table, field: Field, spec: Spec) -> bool:
    names = computed_options.names_in(spec["formula"])
    if any(_is_waiting(table.field(name)) for name in names if table.field(name) is not field):
        return False
    try:
        field.options = computed_options.formula_options(table, spec["formula"], spec.get("result"))
    except ApiError as error:
        raise SeedError(f"{base.name} / {table.name} / {field.name}: {spec['formula']}: {error.body}") from error
    return True


def _try_gather(base: Base, table: Table, field: Field, spec: Spec) -> bool:
    link = _field(base, table, spec["link"])
    target = _field(base, base.tables[link.option("linkedTableId")], spec["field"])
    if _is_waiting(target):
        return False
    if field.type == "rollup":
        field.formula = spec["formula"]
        field.options = computed_options.rollup_options(link, target, spec["formula"])
    else:
        field.options = computed_options.lookup_options(link, target)
    return True


def _is_waiting(field: Field | None) -> bool:
    """Whether the field's own result is not known yet."""
    return field is not None and field.options is None and field.type in (
        "formula", "rollup", "multipleLookupValues"
    )  # fmt: skip


def _views(base: Base, table: Table, specs: list[Spec]) -> None:
    for spec in specs:
        view = View(
            spec.get("id") or stable_id("viw", base.id, table.name, spec["name"]),
            spec["name"],
            spec.get("type", "grid"),
            spec.get("filter"),
            [(_field(base, table, name).id, direction) for name, direction in spec.get("sort", [])],
            [_field(base, table, name).id for name in spec.get("hidden", [])],
        )
        table.views.append(view)


def _table(base: Base, name: str) -> Table:
    table = base.table(name)
    if table is None:
        raise SeedError(f"{base.name}: there is no table {name}")
    return table


def _field(base: Base, table: Table, name: str) -> Field:
    field = table.field(name)
    if field is None:
        raise SeedError(f"{base.name} / {table.name}: there is no field {name}")
    return field
