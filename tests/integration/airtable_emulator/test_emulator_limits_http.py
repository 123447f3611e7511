"""Call limits by the wall clock, as a client meets them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyairtable_devkit.airtable.testing import BASE, SECOND_BASE, EmulatorThread

from .conftest import Client

TASKS = f"{BASE}/Tasks"
RATE = "RATE_LIMIT_REACHED"
SENTENCE = "Rate limit exceeded. Please try again later"


@pytest.fixture
def limited(emulator: EmulatorThread) -> Iterator[EmulatorThread]:
    """The emulator with its limits on."""
    emulator.settings(limits=True)
    yield emulator
    emulator.settings(limits=False)


def statuses(call: Client, count: int, path: str = TASKS) -> list[int]:
    return [call("GET", path).status_code for _ in range(count)]


def test_a_burst_is_refused_and_stays_refused(call: Client, limited: EmulatorThread) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: call("GET", TASKS), range(24)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(answers) - len(refused) == 5
    assert refused[0].json() == {"errors": [{"error": RATE, "message": SENTENCE}]}
    assert "retry-after" not in refused[0].headers
    assert call("GET", f"{SECOND_BASE}/Products").status_code == 200
    counted = limited.counters()["bases"][BASE]
    assert (counted["accepted"], counted["refused"]) == (5, 19)
    assert counted["peak_accepted_per_second"] == 5


def test_metadata_and_webhooks_of_a_base_count_against_it(call: Client, limited: EmulatorThread) -> None:
    paths = [f"meta/bases/{BASE}/tables", f"bases/{BASE}/webhooks", TASKS] * 2
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda path: call("GET", path).status_code, paths))
    assert sorted(found) == [200] * 5 + [429]


def test_the_penalty_ends(call: Client, limited: EmulatorThread) -> None:
    limited.settings(penalty=0.5)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: call("GET", TASKS), range(8)))
    deadline = time.monotonic() + 20
    while call("GET", TASKS).status_code == 429:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_switches_of_the_refusal(call: Client, limited: EmulatorThread) -> None:
    limited.settings(base_per_second=0, rate_limit_body="single", retry_after=True)
    answer = call("GET", TASKS)
    assert answer.json() == {"error": {"type": RATE, "message": SENTENCE}}
    assert answer.headers["retry-after"] == "30"


def test_the_monthly_cap_has_its_own_refusal_and_spares_metadata(call: Client, limited: EmulatorThread) -> None:
    limited.settings(base_per_second=1000, token_per_second=1000, plan="free", monthly_cap=3)
    assert statuses(call, 4) == [200, 200, 200, 429]
    body = call("GET", f"{SECOND_BASE}/Products").json()
    assert body["errors"][0]["error"] == "PUBLIC_API_BILLING_LIMIT_EXCEEDED"
    assert "maximum number of requests allowed for this month" in body["errors"][0]["message"]
    assert statuses(call, 1, f"meta/bases/{BASE}/tables") == [200]
    assert limited.counters()["calls_this_month"] == {"wspAcmeRenovation": 4}
    limited.advance(40 * 86400)
    assert statuses(call, 1) == [200]


def test_unauthorised_calls_cost_nothing(call: Client, limited: EmulatorThread) -> None:
    assert {call("GET", TASKS, token=None).status_code for _ in range(20)} == {401}
    assert statuses(call, 3) == [200] * 3


def test_the_control_side_is_never_limited(call: Client, limited: EmulatorThread) -> None:
    limited.settings(base_per_second=0, token_per_second=0)
    assert statuses(call, 1) == [429]
    before = limited.counters()["arrived"]
    for _ in range(30):
        limited.log()
    assert limited.counters()["arrived"] == before == 1


def test_realistic_latency_takes_time_and_zero_does_not(call: Client, emulator: EmulatorThread) -> None:
    call("GET", TASKS)
    emulator.settings(profile="realistic", latency_scale=0.5)
    call("GET", TASKS)
    quick, slow = emulator.log()
    assert quick["seconds"] < slow["seconds"]
    assert slow["seconds"] > 0.05
