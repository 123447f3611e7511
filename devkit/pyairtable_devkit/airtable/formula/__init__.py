"""The Airtable formula language: parser, checks against a table's fields, and evaluator.

    expression = parse("AND({Status}='Open', {Hours} > 8)")
    compiled = compile_formula(expression, table.field_key)
    kept = [row for row in rows if is_truthy(compiled(row, now))]

No I/O and no clock here: a record is a `Row`, the time is an argument. What is supported, and what was decided where
Airtable's documentation is silent, stands in docs/emulator-formulas.md.
"""

from pyairtable_devkit.airtable.formula.compiler import Compiled, compile_formula
from pyairtable_devkit.airtable.formula.errors import FormulaError, UnknownFieldNames
from pyairtable_devkit.airtable.formula.parser import Expression, parse, render_formula
from pyairtable_devkit.airtable.formula.registry import ResultType
from pyairtable_devkit.airtable.formula.values import ERROR, FormulaErrorValue, Row, Value, is_truthy

__all__ = [
    "ERROR",
    "Compiled",
    "Expression",
    "FormulaError",
    "FormulaErrorValue",
    "ResultType",
    "Row",
    "UnknownFieldNames",
    "Value",
    "compile_formula",
    "is_truthy",
    "parse",
    "render_formula",
]
