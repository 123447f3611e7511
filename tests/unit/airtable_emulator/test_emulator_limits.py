"""The limiter of the emulator, driven by a made-up clock."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_devkit.airtable.limits import Limiter, Verdict
from pyairtable_devkit.airtable.settings import Settings

NOVEMBER = datetime(2026, 11, 22, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


def ask(limiter: Limiter, settings: Settings, now: float, **changes: Any) -> Verdict:
    """One call to a base, of a user, in a workspace, unless told otherwise."""
    call: dict[str, Any] = {"user_id": "u", "base_id": "b", "workspace_id": "w", "is_metadata": False}
    return limiter.check(settings, now=now, **({"today": NOVEMBER} | call | changes))


def refusals(limiter: Limiter, settings: Settings, times: list[float], **changes: Any) -> list[str | None]:
    return [ask(limiter, settings, time, **changes).refusal for time in times]


def test_the_sixth_call_in_a_second_is_refused() -> None:
    times = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert refusals(Limiter(), Settings(), times) == [None] * 5 + ["rate"]


def test_the_second_slides() -> None:
    limiter, settings = Limiter(), Settings()
    assert refusals(limiter, settings, [0.0, 0.25, 0.5, 0.75, 0.875, 1.0, 1.25, 1.5]) == [None] * 8
    assert ask(limiter, settings, 1.625).refusal == "rate"


def test_other_bases_are_not_concerned() -> None:
    limiter, settings = Limiter(), Settings()
    refusals(limiter, settings, [0.0] * 6)
    assert ask(limiter, settings, 0.1, base_id="other").refusal is None


def test_fifty_calls_a_second_for_all_tokens_of_a_user() -> None:
    limiter, settings = Limiter(), Settings()
    for number in range(50):
        assert ask(limiter, settings, 0.0, base_id=f"b{number // 5}").refusal is None
    assert ask(limiter, settings, 0.0, base_id="fresh").refusal == "rate"
    assert ask(limiter, settings, 0.0, base_id="fresh", user_id="another").refusal is None


def test_after_a_refusal_nothing_passes_for_the_penalty() -> None:
    limiter, settings = Limiter(), Settings(penalty=30)
    refusals(limiter, settings, [0.0] * 6)
    refused = ask(limiter, settings, 29.5)
    assert (refused.refusal, refused.wait) == ("rate", 0.5)
    assert ask(limiter, settings, 30.0).refusal is None


@pytest.mark.parametrize(("extends", "later"), [(False, None), (True, "rate")])
def test_calls_within_the_penalty_lengthen_it_only_by_switch(extends: bool, later: str | None) -> None:
    limiter, settings = Limiter(), Settings(penalty=30, penalty_extends=extends)
    refusals(limiter, settings, [0.0] * 6)
    ask(limiter, settings, 20.0)
    assert ask(limiter, settings, 30.5).refusal == later


@pytest.mark.parametrize(("scope", "other_base"), [("base", None), ("token", "rate")])
def test_the_penalty_is_kept_by_base_or_by_token(scope: Any, other_base: str | None) -> None:
    limiter, settings = Limiter(), Settings(penalty_scope=scope)
    refusals(limiter, settings, [0.0] * 6)
    assert ask(limiter, settings, 2.0, base_id="other").refusal == other_base
    assert ask(limiter, settings, 2.0, user_id="another").refusal == (None if scope == "token" else "rate")


def test_fixed_seconds_let_a_burst_through_at_the_edge() -> None:
    settings = Settings(window="fixed")
    assert refusals(Limiter(), settings, [0.9] * 5 + [1.0] * 5 + [1.1]) == [None] * 10 + ["rate"]


def test_a_bucket_refills_while_time_passes() -> None:
    settings = Settings(window="bucket", penalty=0)
    assert refusals(Limiter(), settings, [0.0] * 5 + [0.1, 0.2, 0.25]) == [None] * 5 + ["rate", None, "rate"]


def test_limits_can_be_switched_off() -> None:
    assert refusals(Limiter(), Settings(limits=False), [0.0] * 100) == [None] * 100


@pytest.mark.parametrize(("plan", "cap"), [("free", 1000), ("business", None), ("enterprise", None)])
def test_the_monthly_cap_of_the_plan(plan: Any, cap: int | None) -> None:
    limiter, settings = Limiter(), Settings(plan=plan)
    ask(limiter, settings, 0.0)
    limiter.used["w"] = cap or 10_000_000
    assert ask(limiter, settings, 10.0).refusal == ("billing" if cap else None)
    assert ask(limiter, settings, 11.0, is_metadata=True).refusal is None
    assert ask(limiter, settings, 12.0, workspace_id="other").refusal is None


def test_the_cap_begins_anew_with_the_month() -> None:
    limiter, settings = Limiter(), Settings(monthly_cap=1)
    assert refusals(limiter, settings, [0.0, 1.0]) == [None, "billing"]
    assert ask(limiter, settings, 2.0, today=DECEMBER).refusal is None


def test_team_is_slowed_to_two_a_second_above_its_cap() -> None:
    limiter, settings = Limiter(), Settings(plan="team", monthly_cap=1, penalty=0)
    assert refusals(limiter, settings, [0.0, 2.0, 2.1, 2.2]) == [None, None, None, "rate"]


def test_refused_calls_are_not_counted_against_the_month() -> None:
    limiter = Limiter()
    refusals(limiter, Settings(), [0.0] * 9)
    assert limiter.used == {"w": 5}


@given(st.lists(st.floats(0, 0.6), min_size=1, max_size=120), st.sampled_from([0.0, 0.3, 2.0]))
def test_never_more_than_five_in_any_second(gaps: list[float], penalty: float) -> None:
    limiter, settings = Limiter(), replace(Settings(), penalty=penalty)
    now, accepted = 100.0, []
    for gap in gaps:
        now += gap
        if ask(limiter, settings, now).refusal is None:
            accepted.append(now)
    for start, fifth_after in zip(accepted, accepted[5:], strict=False):
        assert fifth_after - start >= 1.0
