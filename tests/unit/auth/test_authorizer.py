"""Answers of the auth service at its callers: shared, kept for a moment, never for longer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from integration.auth.fake_auth import FakeAuth, serving

from pyairtable_platform.auth.signing import SigningKey
from pyairtable_platform.common import context
from pyairtable_platform.common.authorizer import Authorizer
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.context import CallContext
from pyairtable_platform.common.errors import Denied, Unauthenticated, Unavailable
from pyairtable_platform.common.identity import Identity
from pyairtable_platform.common.remembered import Remembered, fingerprint
from pyairtable_protos.auth.v1 import auth_service_pb2


@asynccontextmanager
async def asking(fake: FakeAuth) -> AsyncIterator[tuple[Authorizer, grpc.aio.Server]]:
    """An authorizer that asks the fake, and the fake's server."""
    async with serving(fake) as (target, server):
        authorizer = Authorizer(ServiceChannel(target, api_key="peer-key"))
        authorizer.revocations.apply(auth_service_pb2.WatchRevocationsResponse(is_snapshot=True))
        try:
            yield authorizer, server
        finally:
            await authorizer.close()


@pytest.fixture
async def fake() -> FakeAuth:
    fake = FakeAuth()
    fake.gate.set()
    return fake


async def test_an_answer_is_kept(fake: FakeAuth) -> None:
    async with asking(fake) as (authorizer, _):
        assert authorizer.known("pya_good") is None
        identities = [await authorizer.of_credential("pya_good") for _ in range(5)]
        assert {identity.workspace for identity in identities} == {"acme"}
        assert fake.asked == ["pya_good"]
        assert authorizer.known("pya_good") == identities[0]


async def test_equal_questions_share_one_call_and_outlive_who_asked_first(fake: FakeAuth) -> None:
    fake.gate.clear()
    async with asking(fake) as (authorizer, _):
        waiting = [asyncio.create_task(authorizer.of_credential("pya_good")) for _ in range(50)]
        while not fake.asked:  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)
        waiting[0].cancel()
        fake.gate.set()
        found = await asyncio.gather(*waiting[1:])
        assert {identity.principal for identity in found} == {"access-key:1"}
        assert len(fake.asked) == 1


async def test_auth_is_asked_as_a_peer_and_not_in_the_callers_name_or_time(fake: FakeAuth) -> None:
    async with asking(fake) as (authorizer, _):
        tenant = Identity("p", "acme", "editor", frozenset(), time.time() + 60, "the.tenants.token")
        call = CallContext(request_id="r-1", workspace="acme", deadline=time.monotonic() - 1, identity=tenant)
        with context.entered(call):
            await authorizer.of_credential("pya_good")
        assert fake.metadata[0]["x-api-key"] == "peer-key"
        assert fake.metadata[0]["x-request-id"] == "r-1"
        assert "authorization" not in fake.metadata[0]


async def test_a_refusal_is_kept_for_seconds(fake: FakeAuth, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(fake) as (authorizer, _):
        for _ in range(3):
            with pytest.raises(Unauthenticated, match="no such key"):
                await authorizer.of_credential("pya_bad")
        assert len(fake.asked) == 1
        clock = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: clock + 4)
        with pytest.raises(Unauthenticated):
            await authorizer.of_credential("pya_bad")
        assert len(fake.asked) == 2


async def test_after_half_a_minute_it_is_asked_again(fake: FakeAuth, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(fake) as (authorizer, _):
        await authorizer.of_credential("pya_good")
        fake.suspended = True
        await authorizer.of_credential("pya_good")
        clock = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: clock + 31)
        with pytest.raises(Denied):
            await authorizer.of_credential("pya_good")


async def test_no_answer_outlives_its_token(fake: FakeAuth, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.seconds = 10
    async with asking(fake) as (authorizer, _):
        await authorizer.of_credential("pya_good")
        clock = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: clock + 10.5)
        assert authorizer.known("pya_good") is None


async def test_while_auth_is_away_what_is_known_goes_on_and_the_rest_is_told(fake: FakeAuth) -> None:
    async with asking(fake) as (authorizer, server):
        await authorizer.check()
        await authorizer.of_credential("pya_good")
        await server.stop(None)
        assert (await authorizer.of_credential("pya_good")).workspace == "acme"
        with pytest.raises(Unavailable, match="auth service") as away:
            await authorizer.of_credential("pya_good_too")
        assert away.value.metadata == {"dependency": "auth"}
        with pytest.raises(Unavailable):
            await authorizer.check()


async def test_an_answer_that_auth_did_not_sign_counts_for_nothing(fake: FakeAuth) -> None:
    async with asking(fake) as (authorizer, _):
        await authorizer.check()
        other = FakeAuth()
        fake.signer = other.signer  # type: ignore[method-assign]
        with pytest.raises(Unauthenticated):
            await authorizer.of_credential("pya_good")


@dataclass(frozen=True)
class ElsewhereInTime(SigningKey):
    """Signs as on a machine whose clock is ahead by so many seconds."""

    ahead: float

    def sign(self, **told: Any) -> tuple[str, float]:
        with pytest.MonkeyPatch.context() as patch:
            now = time.time() + self.ahead
            patch.setattr(time, "time", lambda: now)
            return super().sign(**told)


def auth_with_clock(fake: FakeAuth, ahead: float) -> None:
    signer = ElsewhereInTime(fake.signer().kid, fake.signer().private_key, ahead)
    fake.signer = lambda: signer  # type: ignore[method-assign]


@pytest.mark.parametrize("ahead", [-120, 120])
async def test_a_token_out_of_time_when_it_is_issued_tells_of_the_clocks(fake: FakeAuth, ahead: float) -> None:
    auth_with_clock(fake, ahead)
    fake.seconds = 600
    async with asking(fake) as (authorizer, _):
        with pytest.raises(Unavailable, match="clocks of the two machines differ") as refusal:
            await authorizer.of_credential("pya_good")
        assert refusal.value.metadata == {"dependency": "auth"}


@pytest.mark.parametrize("ahead", [-60, 3])
async def test_clocks_that_differ_by_what_the_docs_say_are_tolerated(fake: FakeAuth, ahead: float) -> None:
    auth_with_clock(fake, ahead)
    fake.seconds = 600
    async with asking(fake) as (authorizer, _):
        assert (await authorizer.of_credential("pya_good")).workspace == "acme"


def test_memory_is_bounded_and_holds_no_credentials() -> None:
    kept: Remembered[int] = Remembered(3)
    for number in range(5):
        kept.put(fingerprint(str(number)), number, 60)
        assert kept.get(fingerprint("0")) == (0 if number < 3 else kept.get(fingerprint("0")))
    assert len(kept) == 3
    assert kept.get(fingerprint("4")) == 4
    kept.put(fingerprint("gone"), 1, 0)
    assert kept.get(fingerprint("gone")) is None
    assert b"pya_" not in fingerprint("pya_secret")
    assert fingerprint("a", "b") != fingerprint("ab", "")
