"""Settings, faults, latency and traffic: the rules behind the control side."""

import statistics
from typing import Any

import pytest

from pyairtable_devkit.airtable.faults import FaultError, Faults, Target
from pyairtable_devkit.airtable.latency import REALISTIC, Effort, Latency
from pyairtable_devkit.airtable.settings import Settings, SettingsError
from pyairtable_devkit.airtable.traffic import Traffic

CALL = Target("POST", "/v0/appAcmeRenovation/Tasks", "appAcmeRenovation", frozenset({"tblX", "Tasks"}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"limit": True}, "there is no setting 'limit'"),
        ({"seed": "x"}, "there is no setting 'seed'"),
        ({"random_seed": 2}, "there is no setting 'random_seed'"),
        ({"penalty": -1}, "penalty cannot be -1; it takes a number from 0"),
        ({"penalty": "30"}, "penalty cannot be '30'"),
        ({"limits": 1}, "it takes true or false"),
        ({"base_per_second": 2.5}, "it takes a whole number from 0"),
        ({"window": "wide"}, "'sliding' or 'fixed' or 'bucket'"),
        ({"monthly_cap": True}, "it takes a whole number from 0 or null"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings().changed(changes)
    assert sentence in str(caught.value)


def test_settings_change_together_and_leave_the_others() -> None:
    changed = Settings(penalty=3).changed({"plan": "free", "monthly_cap": None, "latency_scale": 2})
    assert (changed.penalty, changed.plan, changed.monthly_cap, changed.latency_scale) == (3, "free", None, 2)


@pytest.mark.parametrize(
    ("match", "hits"),
    [
        ({}, True),
        ({"method": "post"}, True),
        ({"method": "GET"}, False),
        ({"path": "/v0/app*/Tasks"}, True),
        ({"path": "/v0/meta/*"}, False),
        ({"base": "appAcmeRenovation", "table": "Tasks"}, True),
        ({"table": "tblX"}, True),
        ({"table": "Projects"}, False),
        ({"base": "appAcmeShowroomHQ"}, False),
    ],
)
def test_a_fault_strikes_what_it_matches(match: dict[str, str], hits: bool) -> None:
    faults = Faults(1)
    faults.add({"kind": "status", "match": match})
    assert (faults.strike(CALL) is not None) == hits


def test_a_fault_is_used_up() -> None:
    faults = Faults(1)
    faults.add({"kind": "status", "times": 2})
    assert [faults.strike(CALL) is not None for _ in range(3)] == [True, True, False]


def test_a_fault_without_end_lasts_until_cleared() -> None:
    faults = Faults(1)
    faults.add({"kind": "reset", "times": None})
    assert all(faults.strike(CALL) for _ in range(20))
    faults.clear()
    assert faults.strike(CALL) is None


def test_probabilities_are_repeatable() -> None:
    def series() -> list[bool]:
        faults = Faults(4)
        faults.add({"kind": "status", "times": None, "probability": 0.3})
        return [faults.strike(CALL) is not None for _ in range(200)]

    assert series() == series()
    assert 30 < sum(series()) < 90


def test_lost_webhooks_do_not_touch_calls() -> None:
    faults = Faults(1)
    faults.add({"kind": "lost_webhook"})
    assert faults.strike(CALL) is None
    assert faults.strike(Target("POST", "http://receiver", "b", is_webhook=True)) is not None


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"kind": "sulk"},
        {"kind": "status", "status": 404},
        {"kind": "status", "times": 0},
        {"kind": "status", "probability": 2},
        {"kind": "status", "match": {"host": "x"}},
        {"kind": "status", "match": {"method": 5}},
        {"kind": "status", "id": 5},
        {"kind": "timeout_before", "seconds": -1},
    ],
)
def test_faults_that_make_no_sense(wanted: dict[str, Any]) -> None:
    with pytest.raises(FaultError):
        Faults(1).add(wanted)


@pytest.mark.parametrize("effort", list(REALISTIC))
def test_realistic_times_have_the_reported_median_and_tail(effort: Effort) -> None:
    latency, spread = Latency(1), REALISTIC[effort]
    drawn = sorted(latency.draw("realistic", effort) for _ in range(4000))
    assert statistics.median(drawn) == pytest.approx(spread.median, rel=0.1)
    assert drawn[int(0.95 * len(drawn))] == pytest.approx(spread.p95, rel=0.15)
    assert drawn[-1] <= spread.longest


def test_latency_is_zero_or_repeatable() -> None:
    assert Latency(1).draw("zero", "list") == 0
    assert Latency(5).draw("realistic", "get", 2) == 2 * Latency(5).draw("realistic", "get")


def test_traffic_counts_by_base_token_and_endpoint() -> None:
    traffic = Traffic(entries=3)
    for number, (at, refusal) in enumerate([(0.0, None), (0.5, None), (0.9, "rate"), (1.2, None)]):
        entry = traffic.arrive(at, "GET", f"/v0/b/{number}")
        entry.endpoint, entry.base, entry.token = "GET /{base}/{table}", "b", "all"
        traffic.decide(entry, refusal)
        traffic.finish(entry, at + 0.1, 429 if refusal else 200, 10)
    counters = traffic.counters()
    assert (counters["arrived"], counters["accepted"], counters["refused"]) == (4, 3, 1)
    assert counters["bases"]["b"] == {
        "accepted": 3,
        "refused": 1,
        "peak_arrived_per_second": 3,
        "peak_accepted_per_second": 2,
    }
    assert counters["statuses"] == {"200": 3, "429": 1}
    assert [entry["number"] for entry in traffic.log(0, None)] == [2, 3, 4]
    assert [entry["number"] for entry in traffic.log(3, None)] == [4]
    assert len(traffic.log(0, 1)) == 1
