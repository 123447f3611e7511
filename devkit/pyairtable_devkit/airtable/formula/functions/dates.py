"""Dates and times. Everything is computed in UTC; a zone or locale only changes what DATETIME_FORMAT shows."""

import datetime
import math
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pyairtable_devkit.airtable.formula.context import Context
from pyairtable_devkit.airtable.formula.dates import MAX_PATTERN, parse_date, to_date
from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.locales import LOCALES, Locale
from pyairtable_devkit.airtable.formula.moment import format_date, week
from pyairtable_devkit.airtable.formula.registry import function
from pyairtable_devkit.airtable.formula.units import add_months, months_between, start_of, unit_name
from pyairtable_devkit.airtable.formula.values import DateView, Internal, check_size, iso_text, single

_MILLISECOND = datetime.timedelta(milliseconds=1)
_FIXED = {
    "millisecond": _MILLISECOND,
    "second": datetime.timedelta(seconds=1),
    "minute": datetime.timedelta(minutes=1),
    "hour": datetime.timedelta(hours=1),
}
_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@function("NOW", result="dateTime", context=True)
def now(context: Context) -> Internal:
    return context.now


@function("TODAY", result="date", context=True)
def today(context: Context) -> Internal:
    return context.now.astimezone(datetime.UTC).date()


@function("YEAR", "date", result="number")
def year(moment: datetime.datetime) -> Internal:
    return moment.year


@function("MONTH", "date", result="number")
def month(moment: datetime.datetime) -> Internal:
    return moment.month


@function("DAY", "date", result="number")
def day(moment: datetime.datetime) -> Internal:
    return moment.day


@function("HOUR", "date", result="number")
def hour(moment: datetime.datetime) -> Internal:
    return moment.hour


@function("MINUTE", "date", result="number")
def minute(moment: datetime.datetime) -> Internal:
    return moment.minute


@function("SECOND", "date", result="number")
def second(moment: datetime.datetime) -> Internal:
    return moment.second


@function("WEEKDAY", "date", "text?", result="number")
def weekday(moment: datetime.datetime, start: str = "Sunday") -> Internal:
    """0 for the first day of the week."""
    return (moment.isoweekday() - _first_weekday(start)) % 7


@function("WEEKNUM", "date", "text?", result="number")
def weeknum(moment: datetime.datetime, start: str = "Sunday") -> Internal:
    """Week 1 is the one with January 1 in it."""
    return week(moment, _first_weekday(start), 1)[1]


def _first_weekday(name: str) -> int:
    """Sunday is 0; the documentation allows Sunday and Monday only."""
    known = {"sunday": 0, "monday": 1}
    if name.lower() not in known:
        raise Uncomputable
    return known[name.lower()]


@function("DATEADD", "date", "number", "text", result="dateTime")
def dateadd(moment: datetime.datetime, number: float, unit: str) -> Internal:
    """Months and years keep the day where there is one: January 31 plus one month is the last of February."""
    name = unit_name(unit)
    if name is None or not math.isfinite(number):
        raise Uncomputable
    try:
        if name in _FIXED:
            return moment + number * _FIXED[name]
        if name in _DAYS:
            return moment + datetime.timedelta(days=_rounded(number * _DAYS[name]))
        return add_months(moment, _rounded(number * _MONTHS[name]))
    except (OverflowError, ValueError):  # before year 1 or after year 9999
        raise Uncomputable from None


def _rounded(number: float) -> int:
    """Days and months are whole; halves go away from zero, as in moment.js."""
    return int(math.copysign(math.floor(abs(number) + 0.5), number))


@function("DATETIME_DIFF", "date", "date", "text?", result="number")
def datetime_diff(first: datetime.datetime, second: datetime.datetime, unit: str = "seconds") -> Internal:
    """The first minus the second in whole units, toward zero; unknown units count milliseconds (Airtable support)."""
    name = unit_name(unit) or "millisecond"
    if name in _MONTHS:
        return math.trunc(months_between(second, first) / _MONTHS[name])
    length = _FIXED.get(name) or datetime.timedelta(days=_DAYS[name])
    # Integer division of time spans is exact but rounds down, hence the sign.
    whole = abs(first - second) // length
    return whole if first >= second else -whole


@function("IS_AFTER", "date", "date", result="number")
def is_after(first: datetime.datetime, second: datetime.datetime) -> Internal:
    return int(first > second)


@function("IS_BEFORE", "date", "date", result="number")
def is_before(first: datetime.datetime, second: datetime.datetime) -> Internal:
    return int(first < second)


@function("IS_SAME", "date", "date", "text?", result="number")
def is_same(first: datetime.datetime, second: datetime.datetime, unit: str = "millisecond") -> Internal:
    """Whether both lie in the same unit of the calendar; without a unit, to the millisecond."""
    name = unit_name(unit)
    if name is None:
        raise Uncomputable
    return int(start_of(name, first) == start_of(name, second))


@function("SET_TIMEZONE", "any", "text", result="dateTime")
def set_timezone(value: Internal, zone: str) -> Internal:
    try:
        return DateView(to_date(value).astimezone(ZoneInfo(zone)), _locale_name(value))
    except (ZoneInfoNotFoundError, ValueError, OverflowError, OSError):  # the name becomes a file name
        raise Uncomputable from None


@function("SET_LOCALE", "any", "text", result="dateTime")
def set_locale(value: Internal, locale: str) -> Internal:
    view = single(value)
    moment = view.moment if isinstance(view, DateView) else to_date(value)
    return DateView(moment, locale.lower())


def _locale_name(value: Internal) -> str:
    return value.locale if isinstance(value, DateView) else "en"


def _locale(name: str) -> Locale:
    if name.lower() not in LOCALES:
        raise Uncomputable
    return LOCALES[name.lower()]


@function("DATETIME_FORMAT", "any", "text?", result="text")
def datetime_format(value: Internal, pattern: str | None = None) -> Internal:
    """Text by moment.js tokens, in the zone and locale set on the date; ISO in UTC without a pattern."""
    if pattern is None:
        return iso_text(to_date(value))
    if len(pattern) > MAX_PATTERN:
        raise Uncomputable
    moment = value.moment if isinstance(value, DateView) else to_date(value)
    text = format_date(moment, pattern, _locale(_locale_name(value)))
    check_size(len(text))
    return text


@function("DATETIME_PARSE", "any", "text?", "text?", result="dateTime", context=True)
def datetime_parse(context: Context, value: Internal, pattern: str | None = None, locale: str = "en") -> Internal:
    value = single(value)
    if pattern is None or not isinstance(value, str):
        return to_date(value)
    moment = parse_date(value.strip(), pattern, _locale(locale), context.now)
    if moment is None:
        raise Uncomputable
    return moment


@function("DATESTR", "date", result="text")
def datestr(moment: datetime.datetime) -> Internal:
    return moment.date().isoformat()


@function("TIMESTR", "date", result="text")
def timestr(moment: datetime.datetime) -> Internal:
    return moment.time().isoformat(timespec="seconds")


@function("FROMNOW", "date", result="text", context=True)
def fromnow(context: Context, moment: datetime.datetime) -> Internal:
    return _humanized(abs(moment - context.now))


@function("TONOW", "date", result="text", context=True)
def tonow(context: Context, moment: datetime.datetime) -> Internal:
    return _humanized(abs(moment - context.now))


def _humanized(span: datetime.timedelta) -> str:
    """A time span in words by the thresholds of moment.js: 25 days, a month, 2 years."""
    seconds = span.total_seconds()
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    steps = [
        (seconds < 44.5, "a few seconds", seconds),
        (minutes < 1.5, "a minute", minutes),
        (minutes < 44.5, "minutes", minutes),
        (hours < 1.5, "an hour", hours),
        (hours < 21.5, "hours", hours),
        (days < 1.5, "a day", days),
        (days < 25.5, "days", days),
        (days < 45.5, "a month", days),
        (days < 319.5, "months", days / 30.436875),
        (days < 547.5, "a year", days),
        (True, "years", days / 365.2425),
    ]
    words, amount = next((words, amount) for reached, words, amount in steps if reached)
    return words if words.startswith("a") else f"{math.floor(amount + 0.5)} {words}"
