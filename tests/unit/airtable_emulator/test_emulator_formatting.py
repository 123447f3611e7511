"""Cells as text, as cellFormat=string shows them."""

import math
from datetime import UTC, date, datetime
from typing import Any

import pytest

from pyairtable_devkit.airtable.formatting import cell_text, duration_text, plain_number, text_of
from pyairtable_devkit.airtable.model import Field

MOMENT = datetime(2026, 7, 1, 13, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "options", "value", "text"),
    [
        ("number", {"precision": 2}, 3, "3.00"),
        ("number", {"precision": 0}, 3, "3"),
        ("currency", {"precision": 2, "symbol": "€"}, 1234.5, "€1,234.50"),
        ("currency", {"precision": 0, "symbol": "$"}, -7, "-$7"),
        ("percent", {"precision": 1}, 0.123, "12.3%"),
        ("rating", {}, 4, "4"),
        ("checkbox", {}, True, "checked"),
        ("checkbox", {}, False, ""),
        ("multipleSelects", {}, ["a", "b"], "a, b"),
        ("multipleRecordLinks", {}, ["x, y", 'say "hi"'], '"x, y", say "hi"'),
        ("multipleRecordLinks", {}, ['a, "b"'], '"a, ""b"""'),
        ("date", {"dateFormat": {"name": "iso"}}, date(2026, 7, 1), "2026-07-01"),
        ("date", {"dateFormat": {"name": "us"}}, date(2026, 7, 1), "7/1/2026"),
        ("date", {"dateFormat": {"name": "european"}}, date(2026, 7, 1), "1/7/2026"),
        ("date", {"dateFormat": {"name": "friendly"}}, date(2026, 7, 1), "July 1, 2026"),
        ("number", {"precision": 1}, math.inf, "Infinity"),
        ("singleLineText", {}, None, ""),
    ],
)
def test_values(kind: str, options: dict[str, Any], value: Any, text: str) -> None:
    assert text_of(value, kind, options, "UTC", "en-us") == text


@pytest.mark.parametrize(
    ("locale", "text"), [("en-us", "7/1/2026"), ("en-gb", "1/7/2026"), ("fr", "1/7/2026"), ("ja", "7/1/2026")]
)
def test_local_dates_follow_the_locale(locale: str, text: str) -> None:
    assert text_of(date(2026, 7, 1), "date", {"dateFormat": {"name": "local"}}, "UTC", locale) == text


@pytest.mark.parametrize(
    ("zone", "clock", "text"),
    [
        ("client", "24hour", "2026-07-01 22:05"),
        ("utc", "12hour", "2026-07-01 1:05pm"),
        ("Europe/London", "12hour", "2026-07-01 2:05pm"),
    ],
)
def test_moments_follow_the_fields_zone_or_the_callers(zone: str, clock: str, text: str) -> None:
    options = {"dateFormat": {"name": "iso"}, "timeFormat": {"name": clock}, "timeZone": zone}
    assert text_of(MOMENT, "dateTime", options, "Asia/Tokyo", "en-us") == text


@pytest.mark.parametrize(
    ("form", "seconds", "text"),
    [
        ("h:mm", 5400, "1:30"),
        ("h:mm", 3599, "1:00"),
        ("h:mm:ss", 5415, "1:30:15"),
        ("h:mm:ss.S", 61.25, "0:01:01.2"),
        ("h:mm:ss.SSS", 1.5, "0:00:01.500"),
        ("h:mm", -60, "-0:01"),
    ],
)
def test_durations(form: str, seconds: float, text: str) -> None:
    assert duration_text(seconds, form) == text


def test_computed_fields_look_like_their_result() -> None:
    result = {"type": "currency", "options": {"precision": 2, "symbol": "€"}}
    assert cell_text(Field("f", "n", "formula", {"result": result}), 3) == "€3.00"


def test_plain_numbers_have_no_needless_decimals() -> None:
    assert [plain_number(value) for value in (5.0, 5, 0.5, math.nan)] == ["5", "5", "0.5", "NaN"]
