"""Text to dates: by a moment.js pattern (DATETIME_PARSE), or in the forms every date argument accepts.

Times without a zone are UTC.
"""

import datetime
import re
from dataclasses import dataclass, field
from functools import lru_cache

from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.locales import LOCALES, Locale
from pyairtable_devkit.airtable.formula.moment import EPOCH, TOKEN, long_format
from pyairtable_devkit.airtable.formula.values import DateView, Internal, single, to_utc

MAX_PATTERN = 1_000
"""Characters of a format or of a text with a date in it; formats are long programs otherwise."""
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,6})?)?\s?(?:Z|[-+]\d{2}:?\d{2})?)?")
_SPACE_BEFORE_ZONE = re.compile(r"\s(?=[-+Z])")
_DATES = ("M/D/YYYY", "M/D/YY", "M-D-YYYY", "YYYY/M/D", "YYYY-M-D", "MMMM D, YYYY", "MMMM D YYYY", "D MMMM YYYY")
_TIMES = ("", " h:mm a", " H:mm", " H:mm:ss", " h:mm:ss a")


def to_date(value: Internal) -> datetime.datetime:
    """The value as a moment in UTC; text is read, anything else without a date has no value."""
    value = single(value)
    if isinstance(value, datetime.date | DateView):
        return to_utc(value)
    if isinstance(value, str) and (moment := read_date(value)) is not None:
        return moment
    raise Uncomputable


def read_date(text: str) -> datetime.datetime | None:
    """The moment a text names in ISO form, as 11/22/2026, or as November 22, 2026, each with or without a time."""
    return _read_date(text.strip()) if len(text) <= MAX_PATTERN else None


@lru_cache(maxsize=1024)
def _read_date(text: str) -> datetime.datetime | None:
    if _ISO.fullmatch(text):
        return _read_iso(text)
    for pattern in (date + time for time in _TIMES for date in _DATES):
        reader = _Reader(text, LOCALES["en"], strict=True)
        if reader.read(pattern) and reader.position == len(text):
            return reader.moment(EPOCH)
    return None


def _read_iso(text: str) -> datetime.datetime | None:
    try:
        moment = datetime.datetime.fromisoformat(_SPACE_BEFORE_ZONE.sub("", text))
        return moment.astimezone(datetime.UTC) if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    except (ValueError, OverflowError):
        return None


def parse_date(text: str, pattern: str, locale: Locale, now: datetime.datetime) -> datetime.datetime | None:
    """The moment in a text by a pattern; what the pattern does not give comes from this year's first day."""
    if len(text) > MAX_PATTERN or len(pattern) > MAX_PATTERN:
        return None
    reader = _Reader(text, locale)
    return reader.moment(now) if reader.read(pattern) else None


_DIGITS = {
    **dict.fromkeys(("M", "MM", "D", "DD", "H", "HH", "h", "hh", "k", "kk", "m", "mm", "s", "ss"), r"\d{1,2}"),
    **dict.fromkeys(("DDD", "DDDD"), r"\d{1,3}"),
    **dict.fromkeys(("YYYY", "Y"), r"\d{1,4}"),
    "YY": r"\d{2}",
    "YYYYYY": r"[-+]?\d{1,6}",
    "Q": r"[1-4]",
    "X": r"[-+]?\d{1,13}(?:\.\d{1,3})?",
    "x": r"[-+]?\d{1,16}",
}
_NUMBERS = {token: re.compile(digits, re.ASCII) for token, digits in _DIGITS.items()}
_ORDINAL = re.compile(r"(\d{1,3})(?:st|nd|rd|th|er|ste|de|º|\.)?", re.IGNORECASE)
_ZONE = re.compile(r"Z|([-+])(\d{2}):?(\d{2})", re.IGNORECASE)
_HALF_DAY = re.compile(r"([ap])\.?m?\.?", re.IGNORECASE)
_FRACTION = re.compile(r"\d{1,9}", re.ASCII)


@dataclass
class _Reader:
    """Consumes a text from left to right by the tokens of a pattern."""

    text: str
    locale: Locale
    strict: bool = False
    """Whether separators must be as in the pattern; otherwise any will do, as in moment.js."""
    position: int = 0
    found: dict[str, float] = field(default_factory=dict)

    def read(self, pattern: str) -> bool:
        for match in TOKEN.finditer(pattern):
            token = match["token"]
            if token and token[0] in "Ll":
                done = self.read(long_format(token, self.locale))
            elif token:
                done = self._token(token)
            else:
                done = self._literal((match["literal"] or "")[1:-1] or match["escaped"] or match["other"] or "")
            if not done:
                return False
        return True

    def moment(self, now: datetime.datetime) -> datetime.datetime | None:
        """The moment that was read, None when there is no such day or hour."""
        found = self.found
        try:
            if "epoch" in found:
                return EPOCH + datetime.timedelta(milliseconds=found["epoch"])
            day = datetime.date(int(found.get("year", now.year)), int(found.get("month", 1)), int(found.get("day", 1)))
            if "day_of_year" in found:
                day = datetime.date(day.year, 1, 1) + datetime.timedelta(found["day_of_year"] - 1)
            return self._at(day)
        except (ValueError, OverflowError):
            return None

    def _at(self, day: datetime.date) -> datetime.datetime:
        found = self.found
        hour = int(found.get("hour", 0))
        if "half_day" in found:
            hour = hour % 12 + 12 * int(found["half_day"])
        time = datetime.time(
            0 if hour == 24 else hour,
            int(found.get("minute", 0)),
            int(found.get("second", 0)),
            int(found.get("microsecond", 0)),
            tzinfo=datetime.UTC,
        )
        return datetime.datetime.combine(day, time) - datetime.timedelta(minutes=found.get("offset", 0))

    def _literal(self, literal: str) -> bool:
        if self.text.startswith(literal, self.position):
            self.position += len(literal)
            return True
        if self.strict:
            return False
        if not literal.isalnum() and self.position < len(self.text) and not self.text[self.position].isalnum():
            self.position += 1
        return True

    def _token(self, token: str) -> bool:
        if token in _NUMBERS:
            return self._number(token)
        if token in ("MMM", "MMMM"):
            return self._name("month", self.locale.months, self.locale.months_short, first=1)
        if token in ("ddd", "dddd"):
            return self._name("weekday", self.locale.weekdays, self.locale.weekdays_short, first=0)
        if token in ("Do", "Mo", "DDDo") and (match := self._take(_ORDINAL)):
            self.found[{"Do": "day", "Mo": "month", "DDDo": "day_of_year"}[token]] = int(match[1])
            return True
        if token in ("a", "A") and (match := self._take(_HALF_DAY)):
            self.found["half_day"] = match[1].lower() == "p"
            return True
        if token in ("Z", "ZZ") and (match := self._take(_ZONE)):
            minutes = int(match[2] or 0) * 60 + int(match[3] or 0)
            self.found["offset"] = -minutes if match[1] == "-" else minutes
            return True
        if token[0] == "S" and (match := self._take(_FRACTION)):
            self.found["microsecond"] = int(match[0][:6].ljust(6, "0"))
            return True
        return False

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.position)
        if match:
            self.position = match.end()
        return match

    def _number(self, code: str) -> bool:
        match = self._take(_NUMBERS[code])
        if match is None or (self.strict and code == "YYYY" and len(match[0]) != 4):
            return False
        number = float(match[0])
        if code == "YY":
            number += 1900 if number > 68 else 2000  # as moment.js
        elif code == "Q":
            number = number * 3 - 2
        elif code == "X":
            number *= 1000
        self.found[_MEANINGS[code[0]] if code[:3] != "DDD" else "day_of_year"] = number
        return True

    def _name(self, what: str, names: tuple[str, ...], short: tuple[str, ...], *, first: int) -> bool:
        """A full or short name, whichever is longer in the text."""
        rest = self.text[self.position : self.position + 20].lower()
        for index, (name, abbreviation) in enumerate(zip(names, short, strict=True), start=first):
            for candidate in (name, abbreviation, abbreviation.rstrip(".")):
                if rest.startswith(candidate.lower()):
                    self.found[what] = index
                    self.position += len(candidate)
                    return True
        return False


_MEANINGS = {
    "M": "month",
    "Q": "month",
    "D": "day",
    "Y": "year",
    "H": "hour",
    "h": "hour",
    "k": "hour",
    "m": "minute",
    "s": "second",
    "X": "epoch",
    "x": "epoch",
}
