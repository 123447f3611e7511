"""Choices and conditions. True and false are 1 and 0 (Airtable: "represented internally by a 1")."""

from collections.abc import Sequence

from pyairtable_devkit.airtable.formula.comparison import equal
from pyairtable_devkit.airtable.formula.context import Context, Evaluate
from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.registry import function
from pyairtable_devkit.airtable.formula.values import FormulaErrorValue, Internal, flatten, is_truthy


@function("IF", "any", "lazy", "lazy?", result="argument", context=True)
def if_(context: Context, condition: Internal, then: Evaluate, otherwise: Evaluate | None = None) -> Internal:
    if is_truthy(condition):
        return then(context)
    return otherwise(context) if otherwise else None


@function("SWITCH", "any", "any", "lazy", "lazy*", result="argument", context=True)
def switch(context: Context, value: Internal, pattern: Internal, result: Evaluate, *others: Evaluate) -> Internal:
    """`others` is pattern, result, pattern, result ..., and at the end perhaps a default."""
    if equal(value, pattern):
        return result(context)
    for other_pattern, other_result in zip(others[::2], others[1::2], strict=False):
        if equal(value, other_pattern(context)):
            return other_result(context)
    return others[-1](context) if len(others) % 2 else None


@function("AND", "any", "any*", result="number")
def and_(*conditions: Internal) -> Internal:
    return int(all(_conditions(conditions)))


@function("OR", "any", "any*", result="number")
def or_(*conditions: Internal) -> Internal:
    return int(any(_conditions(conditions)))


@function("XOR", "any", "any*", result="number")
def xor(*conditions: Internal) -> Internal:
    """True when an odd number of arguments are."""
    return sum(_conditions(conditions)) % 2


@function("NOT", "any", result="number")
def not_(condition: Internal) -> Internal:
    return int(not is_truthy(condition))


_INTEGERS = {int}


def _conditions(values: tuple[Internal, ...]) -> Sequence[int]:
    """Lists are opened: AND(values) in a rollup asks whether all values are true."""
    if set(map(type, values)) == _INTEGERS:  # the results of comparisons, which is nearly always
        return values  # type: ignore[return-value]
    return [is_truthy(value) for value in flatten(values)]


@function("TRUE", result="number")
def true() -> Internal:
    return 1


@function("FALSE", result="number")
def false() -> Internal:
    return 0


@function("BLANK", result="text")
def blank() -> Internal:
    return None


@function("ERROR", result="text")
def error() -> Internal:
    raise Uncomputable


@function("ISERROR", "lazy", result="number", context=True)
def iserror(context: Context, argument: Evaluate) -> Internal:
    try:
        return int(isinstance(argument(context), FormulaErrorValue))
    except Uncomputable:
        return 1
