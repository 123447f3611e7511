"""The options that the schema shows for computed fields: formulas by field id, and the type of the result."""

from typing import Any

from pyairtable_devkit.airtable import errors
from pyairtable_devkit.airtable.fields import DATE_FORMATS, TIME_FORMATS
from pyairtable_devkit.airtable.formula import FormulaError, ResultType, compile_formula, parse, render_formula
from pyairtable_devkit.airtable.model import Field, Table
from pyairtable_devkit.airtable.values import ROLLUP_VALUES

Options = dict[str, Any]

ISO_DATE = {"name": "iso", "format": DATE_FORMATS["iso"]}
UTC_TIME: Options = {
    "dateFormat": ISO_DATE,
    "timeFormat": {"name": "24hour", "format": TIME_FORMATS["24hour"]},
    "timeZone": "utc",
}
_NUMERIC = frozenset(["number", "percent", "currency", "duration", "rating", "count", "autoNumber"])
_SHOWN: dict[str, Options] = {
    "text": {"type": "singleLineText"},
    "list": {"type": "singleLineText"},
    "number": {"type": "number", "options": {"precision": 2}},
    "date": {"type": "date", "options": {"dateFormat": ISO_DATE}},
    "dateTime": {"type": "dateTime", "options": UTC_TIME},
    "checkbox": {"type": "checkbox", "options": {"icon": "check", "color": "greenBright"}},
}


def invalid_formula() -> errors.ApiError:
    """The refusal for the text of a formula field."""
    return errors.typed(422, "INVALID_FORMULA", "Invalid formula. Please check your formula text.")


def formula_options(table: Table, text: str, result: Options | None = None) -> Options:
    """Options of a formula field; ApiError when the formula is not valid for this table."""

    def as_id(name: str) -> str | None:
        field = table.field(name)
        return field.id if field else None

    try:
        expression = parse(text)
        compiled = compile_formula(expression, as_id, lambda key: result_type(table.fields[str(key)]))
    except FormulaError:
        raise invalid_formula() from None
    used = [as_id(name) for name in expression.field_names()]
    return {
        "isValid": True,
        "formula": render_formula(expression, lambda name: as_id(name) or name),
        "referencedFieldIds": list(dict.fromkeys(used)),
        "result": result or _SHOWN[compiled.result_type],
    }


def rollup_options(link: Field, target: Field, aggregation: str) -> Options:
    """Options of a rollup; sums and the like of amounts look like the amounts, counts do not."""
    of_target = result_type(target)
    compiled = compile_formula(
        parse(aggregation), lambda name: name if name == ROLLUP_VALUES else None, lambda key: of_target
    )
    same_kind = compiled.result_type == of_target and not aggregation.upper().startswith("COUNT")
    return {
        "isValid": True,
        "recordLinkFieldId": link.id,
        "fieldIdInLinkedTable": target.id,
        "referencedFieldIds": [link.id],
        "result": result_of(target) if same_kind and of_target != "text" else _SHOWN[compiled.result_type],
    }


def lookup_options(link: Field, target: Field) -> Options:
    """Options of a lookup field."""
    return {
        "isValid": True,
        "recordLinkFieldId": link.id,
        "fieldIdInLinkedTable": target.id,
        "result": result_of(target),
    }


def result_of(field: Field) -> Options:
    """Type and options of what a field gives, seen through computed fields."""
    inner: Options | None = field.option("result")
    if inner:
        return inner
    shown: Options = {"type": field.type}
    if field.options:
        shown["options"] = field.options
    return shown


def result_type(field: Field) -> ResultType:
    """A field's type in the words of the formula package."""
    kind = result_of(field)["type"]
    if kind in _NUMERIC:
        return "number"
    by_kind: dict[str, ResultType] = {
        "date": "date",
        "dateTime": "dateTime",
        "createdTime": "dateTime",
        "lastModifiedTime": "dateTime",
        "checkbox": "checkbox",
    }
    return by_kind.get(kind, "text")


def names_in(text: str) -> list[str]:
    """The field names that a formula uses, none if it does not parse."""
    try:
        return parse(text).field_names()
    except FormulaError:
        return []
