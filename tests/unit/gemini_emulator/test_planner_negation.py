"""A "not" turns a condition round, and a date limit beside it still counts."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pyairtable_devkit.gemini.planner.conditions import conditions_in
from pyairtable_devkit.gemini.planner.schema import FieldInfo

STATUS = FieldInfo("Status", "singleSelect", ("Sent", "Overdue", "Paid"))
PAID, ISSUED, DUE = FieldInfo("Paid", "checkbox"), FieldInfo("Issued", "date"), FieldInfo("Due", "date")
TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    "text",
    [
        "Which invoices are not paid yet?",
        "how many invoices are not paid?",
        "invoices that have not yet been paid",
        "which invoices aren't paid",
        "invoices other than paid",
        "list invoices where status is not yet Paid",
    ],
)
@pytest.mark.parametrize("field", [STATUS, PAID])
def test_not_paid_is_the_opposite_of_paid(text: str, field: FieldInfo) -> None:
    if "where status" in text and field == PAID:
        field = STATUS
    (condition,) = conditions_in(text, [field, DUE], TODAY)
    paid, other = ("Paid", "Sent") if field == STATUS else (True, False)
    assert condition.label.startswith(f"{field.name} is not")
    assert condition.test(other) and not condition.test(paid)


def test_a_word_that_only_ends_like_a_negation_is_none() -> None:
    (condition,) = conditions_in("Which recent client payments are paid?", [STATUS], TODAY)
    assert condition.label == "Status is Paid"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("invoices due before 2026-12-01", "Due is before 2026-12-01"),
        ("invoices issued on or after 2026-01-31", "Issued is on or after 2026-01-31"),
        ("invoices where due is after today", "Due is after 2026-11-22"),
        ("invoices due this month", "Due is from 2026-11-01 to before 2026-12-01"),
        ("invoices of last month", "Issued is from 2026-10-01 to before 2026-11-01"),
    ],
)
def test_dates_limit_the_field_that_is_named(text: str, label: str) -> None:
    assert [condition.label for condition in conditions_in(text, [ISSUED, DUE], TODAY)] == [label]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("how many tasks are not done?", 3),
        ("how many tasks are not assigned to Ana Müller?", 4),
        ("how many contacts are not in Cork?", 1),
        ("how many tasks due before 2026-12-01 are not done?", 1),
        ("how many tasks are not urgent?", 4),
        ("how many urgent tasks are there?", 1),
    ],
)
def test_counts_follow_the_not(chat: Any, text: str, count: int) -> None:
    assert f"**{count}**" in chat.say(text)
