"""The table of models: knobs and prices."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.llm_orchestrator.catalog import dollars, load_catalog
from pyairtable_platform.llm_orchestrator.ports import Thinking, Usage
from pyairtable_platform.llm_orchestrator.settings import Settings

CATALOG = load_catalog()
DAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("model", "budget", "knob"),
    [
        ("gemini-3.8-flash", None, Thinking()),
        ("gemini-3.8-flash", -1, Thinking()),
        ("gemini-3.8-flash", 0, Thinking(level="low")),  # it refuses `minimal`
        ("gemini-3.8-flash", 5, Thinking(level="low")),
        ("gemini-3.8-flash", 8192, Thinking(level="medium")),
        ("gemini-3.8-flash", 50_000, Thinking(level="high")),
        ("gemini-3.5-flash-lite", 0, Thinking(level="minimal")),
        ("gemini-2.5-flash", 0, Thinking(budget=0)),
        ("gemini-2.5-flash", 50_000, Thinking(budget=24_576)),
        ("gemini-2.5-flash-lite", 5, Thinking(budget=512)),
        ("models/gemini-2.5-flash", 100, Thinking(budget=100)),
        ("unheard-of", 100, Thinking()),
    ],
)
def test_the_budget_is_mapped_to_the_knob_of_the_model(model: str, budget: int | None, knob: Thinking) -> None:
    assert CATALOG.thinking(model, budget) == knob


@given(st.sampled_from(["gemini-3.8-flash", "gemini-2.5-flash"]), st.integers(-1, 1_000_000))
def test_at_most_one_knob_is_turned(model: str, budget: int) -> None:
    knob = CATALOG.thinking(model, budget)
    assert knob.budget is None or knob.level is None


def test_the_default_model_is_known_and_has_a_price() -> None:
    model = Settings().gemini_model
    assert model == "gemini-3.8-flash"
    assert CATALOG.price(model, Usage(1_000_000, 0, 0, 0, 1_000_000), DAY) == Decimal("0.75")


@pytest.mark.parametrize(
    ("model", "day", "usage", "price"),
    [
        ("gemini-3.8-flash", DAY, Usage(0, 1_000_000, 0, 0), "3.75"),
        ("gemini-3.8-flash", DAY, Usage(0, 0, 1_000_000, 0), "3.75"),  # thinking is paid as output
        ("gemini-3.8-flash", DAY, Usage(1_000_000, 0, 0, 1_000_000), "0.075"),
        ("gemini-3.5-flash-lite", DAY, Usage(1_000_000, 0, 0, 1_000_000), "0.30"),  # price of caching unknown
        ("gemini-3.1-pro-preview", DAY, Usage(100_000, 0, 0, 0), "0.2"),
        ("gemini-3.1-pro-preview", DAY, Usage(300_000, 0, 0, 0), "1.2"),
        ("gemini-3.8-flash", date(2027, 1, 1), Usage(1, 1, 1, 0), None),  # the introductory price is over
        ("gemini-3.8-flash", date(2026, 1, 1), Usage(1, 1, 1, 0), None),
        ("gemini-2.5-flash", date(2026, 12, 1), Usage(1, 1, 1, 0), None),  # shut down
        ("unheard-of", DAY, Usage(1, 1, 1, 0), None),
    ],
)
def test_prices_hold_for_their_days_and_sizes(model: str, day: date, usage: Usage, price: str | None) -> None:
    assert CATALOG.price(model, usage, day) == (None if price is None else Decimal(price))


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_sums_of_prices_are_exact(tokens_in: int, tokens_out: int, thinking: int) -> None:
    whole = CATALOG.price("gemini-3.8-flash", Usage(tokens_in, tokens_out, thinking, 0), DAY)
    parts = [
        CATALOG.price("gemini-3.8-flash", usage, DAY)
        for usage in (Usage(tokens_in), Usage(0, tokens_out), Usage(0, 0, thinking))
    ]
    assert whole == sum(part for part in parts if part is not None)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0.000412", "0.000412"), ("1E-9", "0.000000001"), ("0", "0"), ("2.500", "2.5"), ("100", "100")],
)
def test_amounts_are_plain_decimals(amount: str, shown: str) -> None:
    assert dollars(Decimal(amount)) == shown


def test_an_unknown_amount_is_empty() -> None:
    assert dollars(None) == ""
