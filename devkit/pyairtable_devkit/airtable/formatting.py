"""Values as the text a person sees: for cellFormat=string, for links by primary field, for typecast.

Formats follow the field's options (Airtable docs: cell format, date format, duration format).
"""

import calendar
import math
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pyairtable_devkit.airtable.model import Field

_DAY_FIRST = ("en-gb", "en-au", "en-nz", "fr", "es", "it", "pt", "nl", "pl", "ro", "ru", "tr")


def cell_text(field: Field, value: Any, time_zone: str = "UTC", locale: str = "en-us") -> str:
    """The text of a value read from this field; "" for an empty one."""
    kind, options = shown_as(field)
    return text_of(value, kind, options, time_zone, locale)


def shown_as(field: Field) -> tuple[str, dict[str, Any]]:
    """Type and options that say how the value looks: those of the result for computed fields."""
    result = field.option("result")
    if result:
        return result["type"], result.get("options") or {}
    return field.type, field.options or {}


def text_of(value: Any, kind: str, options: dict[str, Any], time_zone: str, locale: str) -> str:
    """The text of a value of this type, lists joined by a comma."""
    if value is None or value is False:
        return ""
    if isinstance(value, list):
        parts = [_quoted(text_of(item, kind, options, time_zone, locale)) for item in value]
        return ", ".join(parts)
    if value is True:
        return "checked"
    if isinstance(value, date):
        return _date_text(value, kind, options, time_zone, locale)
    if isinstance(value, int | float):
        return _number_text(value, kind, options)
    return str(value)


def _quoted(text: str) -> str:
    """One item of a list; Airtable puts an item that itself holds a comma in quotes."""
    return '"' + text.replace('"', '""') + '"' if "," in text else text


def _number_text(value: float, kind: str, options: dict[str, Any]) -> str:
    precision = options.get("precision")
    if not math.isfinite(value):
        return plain_number(value)
    if kind == "currency":
        sign = "-" if value < 0 else ""
        return f"{sign}{options.get('symbol', '$')}{abs(value):,.{2 if precision is None else precision}f}"
    if kind == "percent":
        return f"{value * 100:.{precision or 0}f}%"
    if kind == "duration":
        return duration_text(value, options.get("durationFormat", "h:mm"))
    if kind == "number" and precision is not None:
        return f"{value:.{precision}f}"
    return plain_number(value)


def plain_number(value: float) -> str:
    """A number without needless decimals: 5, not 5.0."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if float(value).is_integer() and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def duration_text(seconds: float, form: str) -> str:
    """Seconds in the field's duration format, for example 3:05 or 3:05:07.250."""
    sign = "-" if seconds < 0 else ""
    decimals = len(form.partition(".")[2])
    if "ss" not in form:
        hours, minutes = divmod(round(abs(seconds) / 60), 60)
        return f"{sign}{hours}:{minutes:02}"
    whole_minutes, rest = divmod(round(abs(seconds), decimals), 60)
    hours, minutes = divmod(int(whole_minutes), 60)
    width = 3 + decimals if decimals else 2
    return f"{sign}{hours}:{minutes:02}:{rest:0{width}.{decimals}f}"


def _date_text(value: date, kind: str, options: dict[str, Any], time_zone: str, locale: str) -> str:
    day_format = (options.get("dateFormat") or {}).get("name", "iso" if kind == "singleLineText" else "local")
    if not isinstance(value, datetime):
        return _day(value, day_format, locale)
    zone = options.get("timeZone", "client")
    local = value.astimezone(ZoneInfo(time_zone if zone == "client" else "UTC" if zone == "utc" else zone))
    clock_format = (options.get("timeFormat") or {}).get("name", "24hour")
    if clock_format == "24hour":
        clock = f"{local:%H:%M}"
    else:
        clock = f"{local.hour % 12 or 12}:{local:%M}{'am' if local.hour < 12 else 'pm'}"
    return f"{_day(local, day_format, locale)} {clock}"


def _day(value: date, form: str, locale: str) -> str:
    if form == "iso":
        return f"{value:%Y-%m-%d}"
    if form == "friendly":
        return f"{calendar.month_name[value.month]} {value.day}, {value.year}"
    if form == "european" or (form == "local" and locale.lower().startswith(_DAY_FIRST)):
        return f"{value.day}/{value.month}/{value.year}"
    return f"{value.month}/{value.day}/{value.year}"
