"""The script in Valkey keeps the very rules of the simulation: both are asked the same, and answer the same."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator
from importlib import resources
from typing import Any

import pytest
from redis.asyncio import Redis
from unit.airtable_gateway.simulation import SimulatedStore

from pyairtable_devkit.databases import Valkey
from pyairtable_platform.airtable_gateway.valkey import ValkeyPermits
from pyairtable_platform.airtable_gateway.windows import Answer, Ask, Granted, Pace, StoreAway, Wait

PACE = Pace(replicas=2)
WINDOWS = (("base:appOne", 5), ("token:t", 8))


@pytest.fixture
async def client(valkey: Valkey) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey.url) as opened:
        yield opened


class ScriptAtAGivenTime:
    """limiter.lua with the test's clock in the place of the server's."""

    def __init__(self, client: Redis) -> None:
        source = resources.files("pyairtable_platform.airtable_gateway").joinpath("limiter.lua").read_text()
        assert "redis.call('TIME')" in source
        self._script = client.register_script(source.replace("redis.call('TIME')", "{KEYS[2], KEYS[3]}"))
        self._prefix = f"{{test-{uuid.uuid4().hex}}}"

    async def run(self, now: float, replica: str, operation: str, *arguments: Any) -> Any:
        micros = round(now * 1e6)
        lengths = [round(value * 1e6) for value in (PACE.jitter, PACE.lease, PACE.presence)]
        keys = [self._prefix, str(micros // 1_000_000), str(micros % 1_000_000)]
        return await self._script(keys=keys, args=[operation, 0, *lengths, PACE.replicas, replica, *arguments])

    async def ask(self, now: float, replica: str, ask: Ask) -> Answer:
        windows = [part for name, limit in ask.windows for part in (name, limit)]
        verdict, _, wait, present = await self.run(now, replica, "ask", ask.permit, int(ask.bulk), *windows)
        return Granted(present, wait / 1e6) if verdict == b"granted" else Wait(wait / 1e6, paused=verdict == b"paused")


async def test_script_and_simulation_give_the_same_answers(client: Redis) -> None:
    """A thousand steps of three replicas that ask, send, are answered, give back and vanish."""
    dice = random.Random(20261122)
    now = 1_763_000_000.0
    script, model = ScriptAtAGivenTime(client), SimulatedStore(PACE, clock=lambda: now)
    permits: list[Ask] = []
    verdicts = {"granted": 0, "wait": 0}
    for step in range(1000):
        now = round(now + dice.choice([0.0, 0.001, 0.01, 0.05, 0.2, 0.7]), 6)
        replica = dice.choice(["one", "two", "three"])
        what = dice.choice(["ask", "ask", "ask", "beat", "sent", "answered", "release"])
        if what == "ask":
            ask = Ask(f"permit-{step}", WINDOWS[: dice.choice([1, 2])], bulk=dice.random() < 0.3)
            expected, got = model.ask(replica, ask), await script.ask(now, replica, ask)
            if isinstance(expected, Granted):
                assert isinstance(got, Granted), f"step {step}"
                assert got.present == expected.present, f"step {step}"
                assert got.delay == pytest.approx(expected.delay, abs=2e-6), f"step {step}"
                permits.append(ask)
                verdicts["granted"] += 1
            else:
                assert isinstance(got, Wait), f"step {step}"
                assert got.seconds == pytest.approx(expected.seconds, abs=2e-6), f"step {step}"
                verdicts["wait"] += 1
        elif what == "beat":
            join = dice.random() < 0.9
            assert (await script.run(now, replica, "beat", int(join)))[3] == model.beat(replica, join=join)
        elif permits:
            await report(script, model, permits.pop(dice.randrange(len(permits))), what, now)
    assert verdicts["granted"] > 100
    assert verdicts["wait"] > 100


async def report(script: ScriptAtAGivenTime, model: SimulatedStore, ask: Ask, what: str, now: float) -> None:
    if what == "release":
        await script.run(now, "one", "release", ask.permit, *ask.names)
    else:
        later = PACE.jitter if what == "sent" else 0.0
        await script.run(now, "one", "lower", ask.permit, round(later * 1e6), *ask.names)
    for name in ask.names:
        if what == "release":
            model.windows[name].release(ask.permit)
        else:
            model.windows[name].lower(ask.permit, now + later)


async def test_a_clock_that_went_back_holds_everything_until_nothing_can_count_any_more(client: Redis) -> None:
    script, ask = ScriptAtAGivenTime(client), Ask("p", WINDOWS)
    await script.run(1000.0, "one", "beat", 1)
    await script.run(1009.0, "one", "beat", 1)
    assert isinstance(await script.ask(1010.0, "one", ask), Granted)
    assert await script.ask(10.0, "one", Ask("q", WINDOWS)) == Wait(PACE.hold)


async def test_a_command_that_comes_too_late_does_nothing(client: Redis) -> None:
    """A frozen server runs what it was sent when it thaws, long after the sender has gone on alone."""
    permits = ValkeyPermits(client, PACE, prefix=f"{{{uuid.uuid4().hex}}}", name="one")
    assert await permits.beat(join=True) == 1
    permits._clock = lambda: time.monotonic() - 10  # as if the question had been sent ten seconds ago
    with pytest.raises(StoreAway):
        await permits.beat(join=True)


async def test_a_changed_server_clock_counts_as_away(client: Redis) -> None:
    shift = 0.0
    permits = ValkeyPermits(client, PACE, clock=lambda: time.monotonic() + shift, prefix=f"{{{uuid.uuid4().hex}}}")
    await permits.beat(join=True)
    shift = -2.0  # to us it looks as if the server's clock had jumped ahead
    with pytest.raises(StoreAway):
        await permits.beat(join=True)
    await asyncio.sleep(0)
    assert await permits.beat(join=True) == 1


async def test_a_pause_is_known_to_all_and_never_shortened(client: Redis) -> None:
    prefix = f"{{{uuid.uuid4().hex}}}"
    one, two = (ValkeyPermits(client, PACE, prefix=prefix, name=name) for name in ("one", "two"))
    await one.pause("base:appOne", 30)
    await two.pause("base:appOne", 1)
    answer = await two.ask(Ask("p", WINDOWS))
    assert isinstance(answer, Wait)
    assert answer.paused
    assert 29 < answer.seconds <= 30
