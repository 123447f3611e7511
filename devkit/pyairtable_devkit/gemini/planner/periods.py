"""Days and spans of time in a request: "in October", "last month", "due before 2026-12-01"."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH = re.compile(rf"\bin ({'|'.join(_MONTHS)})(?:\s+(\d{{4}}))?\b", re.IGNORECASE)
_YEAR = re.compile(r"\bin (20\d\d)\b", re.IGNORECASE)
_RELATIVE = re.compile(r"\b(this|last) (week|month|year)\b", re.IGNORECASE)
_LIMIT = re.compile(
    r"\b(?P<op>on or before|on or after|before|after|since|until|till|up to|by|from|earlier than|later than|on)\s+"
    r"(?P<day>\d{4}-\d{2}-\d{2}|today|tomorrow|yesterday)\b",
    re.IGNORECASE,
)
_SIGNS = {
    "before": "<", "earlier than": "<", "after": ">", "later than": ">", "on": "=",
    "since": ">=", "from": ">=", "on or after": ">=",
    "until": "<=", "till": "<=", "up to": "<=", "by": "<=", "on or before": "<=",
}  # fmt: skip
_CHECKS: dict[str, Callable[[str, str], bool]] = {
    "<": lambda day, limit: day < limit,
    ">": lambda day, limit: day > limit,
    "=": lambda day, limit: day == limit,
    ">=": lambda day, limit: day >= limit,
    "<=": lambda day, limit: day <= limit,
}
_SPOKEN = {"<": "before", ">": "after", "=": "on", ">=": "on or after", "<=": "on or before"}
_AWAY = {"today": 0, "tomorrow": 1, "yesterday": -1}

Period = tuple[re.Match[str], str, Callable[[str], bool]]
"""Where it stands, how it is told, and the test of an ISO day."""


def periods_in(text: str, today: date) -> list[Period]:
    """The limits and spans that a text names."""
    limits = [_limit(found, today) for found in _LIMIT.finditer(text)]
    span = _span(text, today)
    return [*limits, span] if span else limits


def _limit(found: re.Match[str], today: date) -> Period:
    sign, named = _SIGNS[found["op"].lower()], found["day"].lower()
    limit = (today + timedelta(days=_AWAY[named])).isoformat() if named in _AWAY else named
    check = _CHECKS[sign]
    return found, f"is {_SPOKEN[sign]} {limit}", lambda day: check(day, limit)


def _span(text: str, today: date) -> Period | None:
    for pattern, bounds in ((_MONTH, _month), (_RELATIVE, _relative), (_YEAR, _year)):
        found = pattern.search(text)
        if found:
            first, after = bounds(found, today)
            return found, f"is from {first} to before {after}", lambda day, a=first, b=after: a <= day < b
    return None


def _month(found: re.Match[str], today: date) -> tuple[str, str]:
    return _from_first(date(int(found[2]) if found[2] else today.year, _MONTHS.index(found[1].lower()) + 1, 1))


def _year(found: re.Match[str], today: date) -> tuple[str, str]:
    return f"{found[1]}-01-01", f"{int(found[1]) + 1}-01-01"


def _relative(found: re.Match[str], today: date) -> tuple[str, str]:
    back, unit = found[1].lower() == "last", found[2].lower()
    if unit == "year":
        year = today.year - back
        return f"{year}-01-01", f"{year + 1}-01-01"
    if unit == "week":
        monday = today - timedelta(days=today.weekday() + 7 * back)
        return monday.isoformat(), (monday + timedelta(days=7)).isoformat()
    first = today.replace(day=1)
    return _from_first((first - timedelta(days=1)).replace(day=1) if back else first)


def _from_first(first: date) -> tuple[str, str]:
    return first.isoformat(), (first + timedelta(days=32)).replace(day=1).isoformat()
