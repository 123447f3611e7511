"""Working days: Monday to Friday without holidays. Counted by arithmetic, so that a million days cost nothing."""

import datetime
import math
from bisect import bisect_left, bisect_right

from pyairtable_devkit.airtable.formula.dates import to_date
from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.registry import function
from pyairtable_devkit.airtable.formula.values import Internal, flatten

LAST_DAY = datetime.date.max.toordinal()


@function("WORKDAY", "date", "number", "any?", result="date")
def workday(start: datetime.datetime, number: float, holidays: Internal = None) -> Internal:
    """The day that is so many working days after the start; negative numbers go back."""
    if not math.isfinite(number) or abs(number) > LAST_DAY:
        raise Uncomputable
    count = math.trunc(number)
    free = _holidays(holidays)
    origin = start.toordinal()
    if count == 0:
        return start.date()
    found = _holiday_free(origin, count, free)
    if not 1 <= found <= LAST_DAY:
        raise Uncomputable
    return datetime.date.fromordinal(found)


@function("WORKDAY_DIFF", "date", "date", "any?", result="number")
def workday_diff(start: datetime.datetime, end: datetime.datetime, holidays: Internal = None) -> Internal:
    """Working days from start to end, both included; negative when the end is earlier."""
    first, last = sorted((start.toordinal(), end.toordinal()))
    free = _holidays(holidays)
    count = _weekdays_until(last) - _weekdays_until(first - 1)
    count -= bisect_right(free, last) - bisect_left(free, first)
    return count if start <= end else -count


def _weekdays_until(ordinal: int) -> int:
    """Weekdays from day 1 (a Monday) to this day."""
    weeks, days = divmod(ordinal, 7)
    return weeks * 5 + min(days, 5)


def _nth_weekday(number: int) -> int:
    """The day on which `_weekdays_until` first reaches the number."""
    weeks, days = divmod(number - 1, 5)
    return weeks * 7 + days + 1


def _holiday_free(origin: int, count: int, free: list[int]) -> int:
    """The ordinal `count` working days from the origin: each holiday passed on the way costs one day more."""
    done = _weekdays_until(origin) if count > 0 else _weekdays_until(origin - 1) + 1
    passed = -1
    while True:
        extra = passed if passed > 0 else 0
        found = _nth_weekday(done + count + extra if count > 0 else done + count - extra)
        if count > 0:
            now_passed = bisect_right(free, found) - bisect_right(free, origin)
        else:
            now_passed = bisect_left(free, origin) - bisect_left(free, found)
        if now_passed == extra:
            return found
        passed = now_passed


def _holidays(value: Internal) -> list[int]:
    """Weekdays named by a list of dates or a text of ISO dates with commas, sorted."""
    names: list[Internal] = []
    for item in flatten([value]):
        names += item.split(",") if isinstance(item, str) else [item]
    days = {to_date(name).toordinal() for name in names if name is not None and name != ""}
    return sorted(day for day in days if day % 7 not in (6, 0))
