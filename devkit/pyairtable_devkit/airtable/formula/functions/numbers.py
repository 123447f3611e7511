"""Arithmetic and numeric functions, on floats as JavaScript computes: 1/0 is Infinity, 0/0 is NaN."""

import datetime
import decimal
import functools
import math
import operator
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_UP, Decimal

from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.registry import function
from pyairtable_devkit.airtable.formula.values import DateView, Internal, flatten, single, to_number, to_utc

_CURRENCY_SIGNS = frozenset("$€£¥₹₽₩₺₴₪฿₫,'")
_QUOTIENTS = decimal.Context(prec=15)
"""Fewer digits than a float has, so that its last one does not decide which multiple is nearest."""
MAX_DIGITS = 400
"""A float has no digits beyond about 10**308 and 10**-324, so rounding further away changes nothing."""


def add(left: Internal, right: Internal) -> Internal:
    return to_number(left) + to_number(right)


def subtract(left: Internal, right: Internal) -> Internal:
    """Dates subtract to seconds, the unit of DATETIME_DIFF and of durations."""
    start, end = single(right), single(left)
    if isinstance(end, datetime.date | DateView) and isinstance(start, datetime.date | DateView):
        return (to_utc(end) - to_utc(start)).total_seconds()
    return to_number(end) - to_number(start)


def multiply(left: Internal, right: Internal) -> Internal:
    return to_number(left) * to_number(right)


def divide(left: Internal, right: Internal) -> Internal:
    return quotient(to_number(left), to_number(right))


def quotient(dividend: float, divisor: float) -> float:
    """Division without exceptions: Infinity with the sign of both, NaN for 0/0."""
    if divisor != 0:
        return dividend / divisor
    if dividend == 0 or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1, divisor)


@function("ABS", "number", result="number")
def abs_(value: float) -> Internal:
    return abs(value)


@function("SUM", "any", "any*", result="number")
def sum_(*values: Internal) -> Internal:
    # Not sum(): from Python 3.12 on it corrects rounding errors that Airtable shows.
    return functools.reduce(operator.add, _numbers(values), 0.0)


@function("AVERAGE", "any", "any*", result="number")
def average(*values: Internal) -> Internal:
    numbers = _numbers(values)
    return quotient(to_number(sum_(*numbers)), len(numbers))


@function("MAX", "any", "any*", result="argument")
def max_(*values: Internal) -> Internal:
    return _extreme(values, max)


@function("MIN", "any", "any*", result="argument")
def min_(*values: Internal) -> Internal:
    return _extreme(values, min)


def _numbers(values: tuple[Internal, ...]) -> list[float]:
    """The numbers among the values, lists opened; text and blanks do not count."""
    return [to_number(value) for value in flatten(values) if isinstance(value, int | float)]


def _extreme(values: tuple[Internal, ...], pick: Callable[..., float | datetime.datetime]) -> Internal:
    """Of the numbers; of the dates when there are no numbers; 0 of nothing."""
    if numbers := _numbers(values):
        return math.nan if any(map(math.isnan, numbers)) else pick(numbers)
    dates = [to_utc(value) for value in flatten(values) if isinstance(value, datetime.date | DateView)]
    return pick(dates) if dates else 0


@function("ROUND", "number", "number?", result="number")
def round_(value: float, precision: float = 0) -> Internal:
    """Ties go up, toward positive infinity (Airtable support: formula field reference)."""
    return _rounded(value, precision, _half_up)


@function("ROUNDUP", "number", "number?", result="number")
def roundup(value: float, precision: float = 0) -> Internal:
    """Away from zero."""
    return _rounded(value, precision, lambda number: number.to_integral_value(ROUND_UP))


@function("ROUNDDOWN", "number", "number?", result="number")
def rounddown(value: float, precision: float = 0) -> Internal:
    """Toward zero."""
    return _rounded(value, precision, lambda number: number.to_integral_value(ROUND_DOWN))


def _half_up(number: Decimal) -> Decimal:
    return (number + Decimal("0.5")).to_integral_value(ROUND_FLOOR)


def _rounded(value: float, precision: float, to_integer: Callable[[Decimal], Decimal]) -> float:
    """Rounds the digits a person sees (1.005 is 1.005 here, not 1.00499...), like Airtable's own display."""
    if math.isnan(precision) or not math.isfinite(value):
        return value if math.isfinite(precision) or math.isinf(precision) else math.nan
    digits = math.trunc(max(-MAX_DIGITS, min(precision, MAX_DIGITS)))
    number = Decimal(repr(value))
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -exponent <= digits:
        return value
    return float(to_integer(number.scaleb(digits)).scaleb(-digits))


@function("CEILING", "number", "number?", result="number")
def ceiling(value: float, significance: float = 1) -> Internal:
    return _multiple(value, significance, ROUND_CEILING)


@function("FLOOR", "number", "number?", result="number")
def floor(value: float, significance: float = 1) -> Internal:
    return _multiple(value, significance, ROUND_FLOOR)


def _multiple(value: float, significance: float, rounding: str) -> float:
    """The nearest multiple of the significance in one direction; in decimals, where 0.3/0.1 is 3 and so is 1/(1/3)."""
    if significance == 0:
        return 0.0
    if not math.isfinite(value) or not math.isfinite(significance):
        return value if math.isfinite(significance) else math.nan
    step = Decimal(repr(abs(significance)))
    return float(_QUOTIENTS.divide(Decimal(repr(value)), step).to_integral_value(rounding) * step)


@function("INT", "number", result="number")
def int_(value: float) -> Internal:
    """The greatest integer not above the value: INT(-1.5) is -2."""
    return float(math.floor(value)) if math.isfinite(value) else value


@function("EVEN", "number", result="number")
def even(value: float) -> Internal:
    """The smallest even integer not below the value (Airtable support): EVEN(-1.5) is 0, unlike in Excel."""
    return math.ceil(value / 2) * 2.0 if math.isfinite(value) else value


@function("ODD", "number", result="number")
def odd(value: float) -> Internal:
    """The nearest odd integer away from zero."""
    if not math.isfinite(value):
        return value
    size = math.ceil(abs(value))
    return math.copysign(size + (size + 1) % 2, value)


@function("MOD", "number", "number", result="number")
def mod(value: float, divisor: float) -> Internal:
    """The remainder with the sign of the value, as JavaScript's %."""
    if divisor == 0 or not math.isfinite(value):
        return math.nan
    return math.fmod(value, divisor)


@function("POWER", "number", "number", result="number")
def power(base: float, exponent: float) -> Internal:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        negative = base < 0 and exponent % 2 == 1
        return -math.inf if negative else math.inf
    except ValueError:  # a negative base with a fraction, or zero with a negative exponent
        return math.inf if base == 0 else math.nan


@function("SQRT", "number", result="number")
def sqrt(value: float) -> Internal:
    return math.nan if value < 0 else math.sqrt(value)


@function("EXP", "number", result="number")
def exp(exponent: float) -> Internal:
    try:
        return math.exp(exponent)
    except OverflowError:
        return math.inf


@function("LOG", "number", "number?", result="number")
def log(value: float, base: float = 10) -> Internal:
    if base == 10 and value > 0:
        return math.log10(value)
    return quotient(_natural_log(value), _natural_log(base))


def _natural_log(value: float) -> float:
    if value == 0:
        return -math.inf
    return math.nan if value < 0 else math.log(value)


@function("VALUE", "text", result="number")
def value(text: str) -> Internal:
    """The number in a text, without currency signs, thousands separators and spaces: VALUE("$10,000") is 10000."""
    digits = "".join(letter for letter in text if not letter.isspace() and letter not in _CURRENCY_SIGNS)
    try:
        return to_number(digits) if digits else None
    except Uncomputable:
        return _percent(digits)


def _percent(digits: str) -> float:
    """`50%` is 0.5; anything else that is no number has no value."""
    if not digits.endswith("%"):
        raise Uncomputable
    return to_number(digits[:-1]) / 100
