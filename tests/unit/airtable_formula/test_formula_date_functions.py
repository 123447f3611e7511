"""Dates and times. NOW is 2026-11-22 10:30:15.250 UTC, a Sunday.

Examples marked [D] stand in Airtable's pages on format specifiers and units; the tokens are those of moment.js.
"""

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from pyairtable_devkit.airtable.formula import ERROR, Value

UTC = datetime.UTC


def moment(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


FIELDS: dict[str, Value] = {
    "day": datetime.date(2026, 3, 9),
    "moment": datetime.datetime(2026, 3, 9, 14, 5, 7, 89_000, tzinfo=UTC),
    "lookup": [datetime.date(2026, 3, 9)],
    "two": [datetime.date(2026, 3, 9), datetime.date(2026, 3, 10)],
    "holidays": [datetime.date(2026, 12, 25), datetime.date(2026, 12, 28)],
    "number": 5,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NOW()", moment(2026, 11, 22, 10, 30, 15, 250_000)),
        ("TODAY()", datetime.date(2026, 11, 22)),
        ("YEAR({moment})", 2026),
        ("MONTH({moment})", 3),
        ("DAY({moment})", 9),
        ("HOUR({moment})", 14),
        ("MINUTE({moment})", 5),
        ("SECOND({moment})", 7),
        ("HOUR({day})", 0),
        ("YEAR('2020-02-29')", 2020),
        ("DAY({lookup})", 9),
        ("DAY({two})", ERROR),
        ("YEAR({number})", ERROR),
        ("YEAR({blank})", ERROR),
        ("YEAR('not a date')", ERROR),
        ("HOUR(SET_TIMEZONE({moment}, 'America/New_York'))", 14),
        ("WEEKDAY('2026-11-22')", 0),
        ("WEEKDAY('2026-11-22', 'Monday')", 6),
        ("WEEKDAY('2026-11-23', 'monday')", 0),
        ("WEEKDAY('2026-11-22', 'Friday')", ERROR),
        ("WEEKNUM('2021-02-11')", 7),
        ("WEEKNUM('2026-01-01')", 1),
        ("WEEKNUM('2026-01-04')", 2),
        ("WEEKNUM('2026-01-04', 'Monday')", 1),
        ("WEEKNUM('9999-12-31')", 53),
        ("WEEKNUM('0001-01-01')", 1),
        ("DATESTR({moment})", "2026-03-09"),
        ("TIMESTR({moment})", "14:05:07"),
        ("FROMNOW('2026-11-22T10:30:00Z')", "a few seconds"),
        ("FROMNOW('2026-11-22T10:29:15Z')", "a minute"),
        ("FROMNOW('2026-11-22T10:00:15Z')", "30 minutes"),
        ("FROMNOW('2026-11-22T09:30:15Z')", "an hour"),
        ("FROMNOW('2026-11-22T05:30:15Z')", "5 hours"),
        ("TONOW('2026-11-23T10:30:15Z')", "a day"),
        ("TONOW('2026-10-28T10:30:15Z')", "25 days"),
        ("TONOW('2026-10-22')", "a month"),
        ("TONOW('2027-05-22')", "6 months"),
        ("TONOW('2025-11-22')", "a year"),
        ("TONOW('2016-11-22')", "10 years"),
    ],
)
def test_parts_of_dates(evaluate: Callable[..., Any], text: str, expected: Value) -> None:
    assert evaluate(text, **FIELDS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DATEADD({day}, 10, 'days')", moment(2026, 3, 19)),
        ("DATEADD({moment}, -1, 'years')", moment(2025, 3, 9, 14, 5, 7, 89_000)),
        ("DATEADD('2026-01-31', 1, 'months')", moment(2026, 2, 28)),
        ("DATEADD('2024-02-29', 1, 'year')", moment(2025, 2, 28)),
        ("DATEADD('2026-01-31', -1, 'quarters')", moment(2025, 10, 31)),
        ("DATEADD('2026-01-01', 2, 'weeks')", moment(2026, 1, 15)),
        ("DATEADD('2026-01-01', 1.5, 'hours')", moment(2026, 1, 1, 1, 30)),
        ("DATEADD('2026-01-01', 0.5, 'days')", moment(2026, 1, 2)),
        ("DATEADD('2026-01-02', -0.5, 'days')", moment(2026, 1, 1)),
        ("DATEADD('2026-01-01', 90, 'minutes')", moment(2026, 1, 1, 1, 30)),
        ("DATEADD('2026-01-01', 90, 'm')", moment(2026, 1, 1, 1, 30)),
        ("DATEADD('2026-01-01', 1, 'M')", moment(2026, 2, 1)),
        ("DATEADD('2026-01-01', 1, 'second')", moment(2026, 1, 1, 0, 0, 1)),
        ("DATEADD('2026-01-01', 5, 'ms')", moment(2026, 1, 1, 0, 0, 0, 5_000)),
        ("DATEADD('2026-01-01', 1, 'fortnight')", ERROR),
        ("DATEADD('9999-12-31', 1, 'day')", ERROR),
        ("DATEADD('9999-12-31', 1, 'month')", ERROR),
        ("DATEADD('2026-01-01', 1/0, 'day')", ERROR),
        ("DATEADD({blank}, 1, 'day')", ERROR),
        ("DATETIME_DIFF('2026-01-02', '2026-01-01')", 86400),
        ("DATETIME_DIFF('2026-01-02', '2026-01-01', 'unheard of')", 86400000),
        ("DATETIME_DIFF('2026-01-02', '2026-01-01', 'milliseconds')", 86400000),
        ("DATETIME_DIFF('2026-01-02', '2026-01-01', 'ms')", 86400000),
        ("DATETIME_DIFF('2026-01-02', '2026-01-01', 'minutes')", 1440),
        ("DATETIME_DIFF('2026-01-02', '2026-01-01', 'm')", 1440),
        ("DATETIME_DIFF('2026-01-02', '2026-01-01', 'hours')", 24),
        ("DATETIME_DIFF('2026-01-02', '2026-01-01', 'h')", 24),
        ("DATETIME_DIFF('2026-01-01', '2026-01-02', 'days')", -1),
        ("DATETIME_DIFF({moment}, {day}, 'days')", 0),
        ("DATETIME_DIFF({day}, {moment}, 'days')", 0),
        ("DATETIME_DIFF('2026-01-20', '2026-01-01', 'weeks')", 2),
        ("DATETIME_DIFF('2026-03-30', '2026-01-31', 'months')", 1),
        ("DATETIME_DIFF('2026-03-31', '2026-01-31', 'M')", 2),
        ("DATETIME_DIFF('2026-02-28', '2026-01-31', 'M')", 1),
        ("DATETIME_DIFF('2026-01-31', '2026-03-31', 'M')", -2),
        ("DATETIME_DIFF('2026-12-31', '2026-01-01', 'Q')", 3),
        ("DATETIME_DIFF('2026-11-21', '2020-11-22', 'years')", 5),
        ("DATETIME_DIFF('2026-11-22', '2020-11-22', 'y')", 6),
        ("IS_AFTER('2026-01-02', '2026-01-01')", 1),
        ("IS_AFTER('2026-01-01', '2026-01-01')", 0),
        ("IS_BEFORE({day}, TODAY())", 1),
        ("IS_BEFORE(TODAY(), {day})", 0),
        ("IS_BEFORE({blank}, TODAY())", ERROR),
        ("IS_SAME({day}, '2026-03-09')", 1),
        ("IS_SAME({moment}, '2026-03-09')", 0),
        ("IS_SAME({moment}, '2026-03-09', 'day')", 1),
        ("IS_SAME('2026-03-01', '2026-03-31', 'month')", 1),
        ("IS_SAME('2026-03-01', '2025-03-01', 'month')", 0),
        ("IS_SAME('2026-01-01', '2026-03-31', 'quarter')", 1),
        ("IS_SAME('2026-03-31', '2026-04-01', 'quarter')", 0),
        ("IS_SAME('2026-01-01', '2026-12-31', 'year')", 1),
        ("IS_SAME('2026-11-22', '2026-11-28', 'week')", 1),
        ("IS_SAME('2026-11-21', '2026-11-22', 'week')", 0),
        ("IS_SAME('2026-11-22T10:05Z', '2026-11-22T10:55Z', 'hour')", 1),
        ("IS_SAME('2026-11-22T10:05:01Z', '2026-11-22T10:05:59Z', 'minute')", 1),
        ("IS_SAME('2026-11-22T10:05:01.1Z', '2026-11-22T10:05:01.9Z', 'second')", 1),
        ("IS_SAME('2026-11-22T10:05:01.1Z', '2026-11-22T10:05:01.9Z')", 0),
        ("IS_SAME('2026-01-01', '2026-01-01', 'era')", ERROR),
    ],
)
def test_arithmetic_and_comparison(evaluate: Callable[..., Any], text: str, expected: Value) -> None:
    assert evaluate(text, **FIELDS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DATETIME_FORMAT('10/22/2003', 'M')", "10"),  # [D]
        ("DATETIME_FORMAT('2021-02-11', 'W')", "6"),  # [D]
        ("DATETIME_FORMAT('2021-02-11', 'w')", "7"),  # [D]
        ("DATETIME_FORMAT({moment})", "2026-03-09T14:05:07.089Z"),
        ("DATETIME_FORMAT({day})", "2026-03-09T00:00:00.000Z"),
        ("DATETIME_FORMAT({moment}, 'YYYY-MM-DDTHH:mm:ss.SSSZ')", "2026-03-09T14:05:07.089+00:00"),
        ("DATETIME_FORMAT({moment}, 'M Mo MM MMM MMMM')", "3 3rd 03 Mar March"),
        ("DATETIME_FORMAT({moment}, 'D Do DD DDD DDDo DDDD')", "9 9th 09 68 68th 068"),
        ("DATETIME_FORMAT({moment}, 'd do dd ddd dddd e E')", "1 1st Mo Mon Monday 1 1"),
        ("DATETIME_FORMAT({moment}, 'Q Qo w wo ww W Wo WW')", "1 1st 11 11th 11 11 11th 11"),
        ("DATETIME_FORMAT({moment}, 'Y YY YYYY YYYYYY')", "2026 26 2026 +002026"),
        ("DATETIME_FORMAT({moment}, 'gg gggg GG GGGG')", "26 2026 26 2026"),
        ("DATETIME_FORMAT({moment}, 'a A h hh H HH k kk')", "pm PM 2 02 14 14 14 14"),
        ("DATETIME_FORMAT({day}, 'h:mm A, k')", "12:00 AM, 24"),
        ("DATETIME_FORMAT({moment}, 'm mm s ss S SS SSS SSSS')", "5 05 7 07 0 08 089 0890"),
        ("DATETIME_FORMAT({moment}, 'X x')", "1773065107 1773065107089"),
        ("DATETIME_FORMAT({moment}, 'Z ZZ z')", "+00:00 +0000 UTC"),
        ("DATETIME_FORMAT({moment}, 'L')", "03/09/2026"),
        ("DATETIME_FORMAT({moment}, 'LL')", "March 9, 2026"),
        ("DATETIME_FORMAT({moment}, 'LLL')", "March 9, 2026 2:05 PM"),
        ("DATETIME_FORMAT({moment}, 'LLLL')", "Monday, March 9, 2026 2:05 PM"),
        ("DATETIME_FORMAT({moment}, 'LT LTS')", "2:05 PM 2:05:07 PM"),
        ("DATETIME_FORMAT({moment}, 'l ll')", "3/9/2026 Mar 9, 2026"),
        ("DATETIME_FORMAT({moment}, '[Today is] YYYY')", "Today is 2026"),
        ("DATETIME_FORMAT({moment}, '')", ""),
        ("DATETIME_FORMAT('2026-11-01', 'Do')&DATETIME_FORMAT('2026-11-12', 'Do')", "1st12th"),
        (
            "DATETIME_FORMAT(SET_TIMEZONE({moment}, 'America/New_York'), 'YYYY-MM-DD HH:mm Z z')",
            "2026-03-09 10:05 -04:00 EDT",
        ),
        ("DATETIME_FORMAT(SET_TIMEZONE({day}, 'Europe/Berlin'), 'HH:mm ZZ')", "01:00 +0100"),
        ("DATETIME_FORMAT(SET_TIMEZONE({day}, 'Asia/Kolkata'), 'Z')", "+05:30"),
        ("DATETIME_FORMAT(SET_TIMEZONE({day}, 'Mars/Base'), 'Z')", ERROR),
        ("DATETIME_FORMAT(SET_TIMEZONE({day}, '../etc/passwd'), 'Z')", ERROR),
        ("DATETIME_FORMAT(SET_LOCALE({moment}, 'es'), 'dddd D [de] MMMM')", "lunes 9 de marzo"),
        ("DATETIME_FORMAT(SET_LOCALE({moment}, 'de'), 'LLLL')", "Montag, 9. März 2026 14:05"),
        ("DATETIME_FORMAT(SET_LOCALE({moment}, 'fr'), 'LL')", "9 mars 2026"),
        ("DATETIME_FORMAT(SET_LOCALE({moment}, 'en-gb'), 'L LT')", "09/03/2026 14:05"),
        ("DATETIME_FORMAT(SET_LOCALE({moment}, 'xx'), 'L')", ERROR),
        (
            "DATETIME_FORMAT(SET_LOCALE(SET_TIMEZONE({moment}, 'Europe/Rome'), 'it'), 'dddd HH:mm')",
            "lunedì 15:05",
        ),
        (
            "DATETIME_FORMAT(SET_TIMEZONE(SET_LOCALE({moment}, 'it'), 'Europe/Rome'), 'dddd HH:mm')",
            "lunedì 15:05",
        ),
    ],
)
def test_format(evaluate: Callable[..., Any], text: str, expected: Value) -> None:
    assert evaluate(text, **FIELDS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DATETIME_PARSE('2026-03-09')", moment(2026, 3, 9)),
        ("DATETIME_PARSE('2023-12-01T12:34:56.000Z')", moment(2023, 12, 1, 12, 34, 56)),
        ("DATETIME_PARSE('2026-03-09T14:05:07+02:00')", moment(2026, 3, 9, 12, 5, 7)),
        ("DATETIME_PARSE('2026-03-09 14:05')", moment(2026, 3, 9, 14, 5)),
        ("DATETIME_PARSE('2026-03-09 14:05 +02:00')", moment(2026, 3, 9, 12, 5)),
        ("DATETIME_PARSE('3/9/2026')", moment(2026, 3, 9)),
        ("DATETIME_PARSE('3/9/2026 2:05 pm')", moment(2026, 3, 9, 14, 5)),
        ("DATETIME_PARSE('3/9/26')", moment(2026, 3, 9)),
        ("DATETIME_PARSE('March 9, 2026')", moment(2026, 3, 9)),
        ("DATETIME_PARSE('9 Mar 2026')", moment(2026, 3, 9)),
        ("DATETIME_PARSE('2026-02-30')", ERROR),
        ("DATETIME_PARSE('13/13/2026')", ERROR),
        ("DATETIME_PARSE('3/9/2026 or so')", ERROR),
        ("DATETIME_PARSE('')", ERROR),
        ("DATETIME_PARSE('4 Mar 2017 23:00', 'D MMM YYYY HH:mm')", moment(2017, 3, 4, 23)),
        ("DATETIME_PARSE('09.03.2026', 'DD.MM.YYYY')", moment(2026, 3, 9)),
        ("DATETIME_PARSE('09/03/26', 'DD/MM/YY')", moment(2026, 3, 9)),
        ("DATETIME_PARSE('1 de marzo de 2026', 'D [de] MMMM [de] YYYY', 'es')", moment(2026, 3, 1)),
        ("DATETIME_PARSE('12:30 am', 'h:mm a')", moment(2026, 1, 1, 0, 30)),
        ("DATETIME_PARSE('12:30 PM', 'h:mm A')", moment(2026, 1, 1, 12, 30)),
        ("DATETIME_PARSE('2026 068', 'YYYY DDDD')", moment(2026, 3, 9)),
        ("DATETIME_PARSE('1773065107', 'X')", moment(2026, 3, 9, 14, 5, 7)),
        (
            "DATETIME_PARSE('2026-03-09T14:05:07.250+01:00', 'YYYY-MM-DDTHH:mm:ss.SSSZ')",
            moment(2026, 3, 9, 13, 5, 7, 250_000),
        ),
        ("DATETIME_PARSE('2026-03-09 14:05 -0530', 'YYYY-MM-DD HH:mm ZZ')", moment(2026, 3, 9, 19, 35)),
        ("DATETIME_PARSE('Q3 2026', '[Q]Q YYYY')", moment(2026, 7, 1)),
        ("DATETIME_PARSE('9th', 'Do')", moment(2026, 1, 9)),
        ("DATETIME_PARSE('x', 'YYYY')", ERROR),
        ("DATETIME_PARSE('2026-13', 'YYYY-MM')", ERROR),
        ("DATETIME_PARSE({day}, 'YYYY')", moment(2026, 3, 9)),
        ("DATETIME_PARSE({number}, 'YYYY')", ERROR),
    ],
)
def test_parse(evaluate: Callable[..., Any], text: str, expected: Value) -> None:
    assert evaluate(text, **FIELDS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WORKDAY('2026-11-20', 1)", datetime.date(2026, 11, 23)),
        ("WORKDAY('2026-11-21', 1)", datetime.date(2026, 11, 23)),
        ("WORKDAY('2026-11-22', 5)", datetime.date(2026, 11, 27)),
        ("WORKDAY('2026-11-23', -1)", datetime.date(2026, 11, 20)),
        ("WORKDAY('2026-11-22', -1)", datetime.date(2026, 11, 20)),
        ("WORKDAY('2026-11-22', 0)", datetime.date(2026, 11, 22)),
        ("WORKDAY('2026-12-24', 1, '2026-12-25')", datetime.date(2026, 12, 28)),
        ("WORKDAY('2026-12-24', 1, '2026-12-25, 2026-12-28')", datetime.date(2026, 12, 29)),
        ("WORKDAY('2026-12-24', 1, {holidays})", datetime.date(2026, 12, 29)),
        ("WORKDAY('2026-12-29', -1, {holidays})", datetime.date(2026, 12, 24)),
        ("WORKDAY('2026-12-24', 1, '2026-12-26')", datetime.date(2026, 12, 25)),
        ("WORKDAY('2026-12-24', 1, {blank})", datetime.date(2026, 12, 25)),
        ("WORKDAY('2026-12-24', 1, 'tomorrow')", ERROR),
        ("WORKDAY('9999-12-31', 1)", ERROR),
        ("WORKDAY('0001-01-01', -1)", ERROR),
        ("WORKDAY('2026-12-24', 1/0)", ERROR),
        ("WORKDAY_DIFF('2026-11-16', '2026-11-20')", 5),
        ("WORKDAY_DIFF('2026-11-16', '2026-11-22')", 5),
        ("WORKDAY_DIFF('2026-11-21', '2026-11-22')", 0),
        ("WORKDAY_DIFF('2026-11-20', '2026-11-16')", -5),
        ("WORKDAY_DIFF('2026-12-21', '2026-12-31', '2026-12-25')", 8),
        ("WORKDAY_DIFF('2026-12-21', '2026-12-31', {holidays})", 7),
        ("WORKDAY_DIFF('2026-12-21', '2026-12-31', '2026-12-27')", 9),
        ("WORKDAY_DIFF('2026-12-21', '2026-12-31', '2026-12-26,2026-12-25,2026-12-25')", 8),
    ],
)
def test_working_days(evaluate: Callable[..., Any], text: str, expected: Value) -> None:
    assert evaluate(text, **FIELDS) == expected
