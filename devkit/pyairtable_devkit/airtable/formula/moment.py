"""Dates to text with the tokens of moment.js, which Airtable uses (support: DATETIME_FORMAT format specifiers)."""

import datetime
import re
from collections.abc import Callable

from pyairtable_devkit.airtable.formula.locales import Locale

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

TOKEN = re.compile(
    r"(?P<literal>\[[^\[\]]*\])|\\(?P<escaped>.)"
    r"|(?P<token>Mo|M{1,4}|Qo?|DDDo|Do|D{1,4}|do|d{1,4}|e|E|wo|ww?|Wo|WW?"
    r"|YYYYYY|YYYY|YY|Y|gggg|gg|GGGG|GG|A|a|hh?|HH?|kk?|mm?|ss?|S{1,9}|zz?|ZZ?|X|x|LTS|LT|L{1,4}|l{1,4})"
    r"|(?P<other>.)",
    re.DOTALL,
)


def format_date(moment: datetime.datetime, pattern: str, locale: Locale) -> str:
    """The moment, in its own zone, by a pattern such as `MMMM Do, YYYY [at] h:mm A`."""

    def part(match: re.Match[str]) -> str:
        if literal := match["literal"]:
            return literal[1:-1]
        if token := match["token"]:
            return _formatted(token, moment, locale)
        return str(match["escaped"] or match["other"])

    return TOKEN.sub(part, pattern)


def long_format(token: str, locale: Locale) -> str:
    """The pattern behind L, LL ... LTS; the small letters (l, ll ...) are the same without padding and full names."""
    if token.isupper():
        return locale.long_formats[token]
    return re.sub(r"MMMM|MM|DD|dddd", lambda match: match[0][1:], locale.long_formats[token.upper()])


def week(date: datetime.date, first_weekday: int, first_week_day: int) -> tuple[int, int]:
    """Year and number of a week that starts on `first_weekday` (0 is Sunday).

    Week 1 is the one with the `first_week_day` of January in it: Sunday and 1 in the United States, Monday and 4
    in ISO.
    """
    ordinal = date.toordinal()
    for year in (date.year + 1, date.year, date.year - 1):
        if 1 <= year <= datetime.MAXYEAR:
            anchor = datetime.date(year, 1, first_week_day).toordinal()
            # Ordinal 7 is a Sunday, so an ordinal's remainder by 7 is its weekday.
            start = anchor - (anchor - first_weekday) % 7
            if ordinal >= start:
                return year, (ordinal - start) // 7 + 1
    return date.year, 1


def _formatted(token: str, moment: datetime.datetime, locale: Locale) -> str:
    if token[0] in "Ll":
        return format_date(moment, long_format(token, locale), locale)
    if token[0] == "S":
        return f"{moment.microsecond:06}000"[: len(token)]
    return _FORMATS[token](moment, locale)


def _weekday(moment: datetime.datetime) -> int:
    return moment.isoweekday() % 7


def _week(moment: datetime.datetime, locale: Locale) -> tuple[int, int]:
    return week(moment, locale.first_weekday, locale.first_week_day)


def _iso_week(moment: datetime.datetime) -> tuple[int, int]:
    return moment.isocalendar()[:2]


def _offset(moment: datetime.datetime, separator: str) -> str:
    minutes = round((moment.utcoffset() or datetime.timedelta()).total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}{separator}{abs(minutes) % 60:02}"


def _milliseconds(moment: datetime.datetime) -> int:
    """Since 1970; not through timestamp(), whose float is not exact to the millisecond."""
    return (moment - EPOCH) // datetime.timedelta(milliseconds=1)


def _day_of_year(moment: datetime.datetime) -> int:
    return moment.timetuple().tm_yday


def _quarter(moment: datetime.datetime) -> int:
    return (moment.month + 2) // 3


def _half_day_hour(moment: datetime.datetime) -> int:
    return moment.hour % 12 or 12


_FORMATS: dict[str, Callable[[datetime.datetime, Locale], str]] = {
    "M": lambda moment, locale: str(moment.month),
    "Mo": lambda moment, locale: locale.ordinal(moment.month),
    "MM": lambda moment, locale: f"{moment.month:02}",
    "MMM": lambda moment, locale: locale.months_short[moment.month - 1],
    "MMMM": lambda moment, locale: locale.months[moment.month - 1],
    "Q": lambda moment, locale: str(_quarter(moment)),
    "Qo": lambda moment, locale: locale.ordinal(_quarter(moment)),
    "D": lambda moment, locale: str(moment.day),
    "Do": lambda moment, locale: locale.ordinal(moment.day),
    "DD": lambda moment, locale: f"{moment.day:02}",
    "DDD": lambda moment, locale: str(_day_of_year(moment)),
    "DDDo": lambda moment, locale: locale.ordinal(_day_of_year(moment)),
    "DDDD": lambda moment, locale: f"{_day_of_year(moment):03}",
    "d": lambda moment, locale: str(_weekday(moment)),
    "do": lambda moment, locale: locale.ordinal(_weekday(moment)),
    "dd": lambda moment, locale: locale.weekdays_short[_weekday(moment)][:2],
    "ddd": lambda moment, locale: locale.weekdays_short[_weekday(moment)],
    "dddd": lambda moment, locale: locale.weekdays[_weekday(moment)],
    "e": lambda moment, locale: str((_weekday(moment) - locale.first_weekday) % 7),
    "E": lambda moment, locale: str(moment.isoweekday()),
    "w": lambda moment, locale: str(_week(moment, locale)[1]),
    "wo": lambda moment, locale: locale.ordinal(_week(moment, locale)[1]),
    "ww": lambda moment, locale: f"{_week(moment, locale)[1]:02}",
    "W": lambda moment, locale: str(_iso_week(moment)[1]),
    "Wo": lambda moment, locale: locale.ordinal(_iso_week(moment)[1]),
    "WW": lambda moment, locale: f"{_iso_week(moment)[1]:02}",
    "YY": lambda moment, locale: f"{moment.year % 100:02}",
    "YYYY": lambda moment, locale: f"{moment.year:04}",
    "YYYYYY": lambda moment, locale: f"+{moment.year:06}",
    "Y": lambda moment, locale: str(moment.year),
    "gg": lambda moment, locale: f"{_week(moment, locale)[0] % 100:02}",
    "gggg": lambda moment, locale: f"{_week(moment, locale)[0]:04}",
    "GG": lambda moment, locale: f"{_iso_week(moment)[0] % 100:02}",
    "GGGG": lambda moment, locale: f"{_iso_week(moment)[0]:04}",
    "A": lambda moment, locale: "AM" if moment.hour < 12 else "PM",
    "a": lambda moment, locale: "am" if moment.hour < 12 else "pm",
    "H": lambda moment, locale: str(moment.hour),
    "HH": lambda moment, locale: f"{moment.hour:02}",
    "h": lambda moment, locale: str(_half_day_hour(moment)),
    "hh": lambda moment, locale: f"{_half_day_hour(moment):02}",
    "k": lambda moment, locale: str(moment.hour or 24),
    "kk": lambda moment, locale: f"{moment.hour or 24:02}",
    "m": lambda moment, locale: str(moment.minute),
    "mm": lambda moment, locale: f"{moment.minute:02}",
    "s": lambda moment, locale: str(moment.second),
    "ss": lambda moment, locale: f"{moment.second:02}",
    "z": lambda moment, locale: moment.tzname() or "",
    "zz": lambda moment, locale: moment.tzname() or "",
    "Z": lambda moment, locale: _offset(moment, ":"),
    "ZZ": lambda moment, locale: _offset(moment, ""),
    "X": lambda moment, locale: str(_milliseconds(moment) // 1000),
    "x": lambda moment, locale: str(_milliseconds(moment)),
}
