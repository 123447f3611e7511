"""Units of time as Airtable spells them, and calendar arithmetic with them."""

import calendar
import datetime

_ABBREVIATIONS = {
    "ms": "millisecond",
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "M": "month",
    "Q": "quarter",
    "y": "year",
}
_NAMES = frozenset(_ABBREVIATIONS.values())


def unit_name(text: str) -> str | None:
    """The singular name of a unit (Airtable support: DATETIME_DIFF unit specifiers); m is minutes and M months."""
    if text in _ABBREVIATIONS:
        return _ABBREVIATIONS[text]
    name = text.lower().removesuffix("s")
    return name if name in _NAMES else None


def start_of(unit: str, moment: datetime.datetime) -> datetime.datetime | datetime.date:
    """The beginning of the unit that the moment lies in; weeks begin on Sunday."""
    day = moment.date()
    match unit:
        case "year":
            return day.replace(month=1, day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "month":
            return day.replace(day=1)
        case "week":
            # The first days of year 1 are a week of their own: there is no Sunday before them.
            return day - datetime.timedelta(days=min(day.isoweekday() % 7, day.toordinal() - 1))
        case "day":
            return day
        case "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "minute":
            return moment.replace(second=0, microsecond=0)
        case "second":
            return moment.replace(microsecond=0)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def add_months(moment: datetime.datetime, count: int) -> datetime.datetime:
    """The same day so many months on, or that month's last day; raises ValueError outside the years 1 to 9999."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + count, 12)
    if not datetime.MINYEAR <= year <= datetime.MAXYEAR:
        raise ValueError(f"year {year}")
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def months_between(start: datetime.datetime, end: datetime.datetime) -> int:
    """Whole months from start to end, negative when the end is earlier."""
    if end < start:
        return -months_between(end, start)
    months = (end.year - start.year) * 12 + end.month - start.month
    return months - 1 if add_months(start, months) > end else months
