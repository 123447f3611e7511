"""What ended before its time: what counts, what is forgotten, and blocks that end with it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from pyairtable_platform.common.errors import Unauthenticated, Unavailable
from pyairtable_platform.common.identity import Identity
from pyairtable_platform.common.revocations import KEPT_SECONDS, Revocations
from pyairtable_protos.auth.v1 import auth_service_pb2 as rpc


def identity(session: str = "login:1", workspace: str = "acme", revision: int = 5, user: str = "ada") -> Identity:
    return Identity(f"user:{user}", workspace, "editor", frozenset(), 2e9, "t", None, session, revision)


def told(*revocations: rpc.Revocation, snapshot: bool = False, registry: str = "") -> rpc.WatchRevocationsResponse:
    return rpc.WatchRevocationsResponse(is_snapshot=snapshot, revocations=revocations, registry=registry)


def session(name: str) -> rpc.Revocation:
    return rpc.Revocation(session=name)


def rights(workspace: str, revision: int, user: str = "") -> rpc.Revocation:
    return rpc.Revocation(workspace=workspace, principal=f"user:{user}" if user else "", revision=revision)


@pytest.mark.parametrize(
    ("revocation", "who", "is_revoked"),
    [
        (session("login:1"), identity(), True),
        (session("login:2"), identity(), False),
        (session("login:1"), identity(workspace="", revision=0), True),
        (rights("acme", 6, "ada"), identity(revision=5), True),
        (rights("acme", 6, "ada"), identity(revision=6), False),
        (rights("acme", 6, "ada"), identity(revision=7), False),
        (rights("acme", 6, "bob"), identity(revision=5), False),
        (rights("acme", 6), identity(revision=5), True),
        (rights("beta", 6), identity(revision=5), False),
        (rights("acme", 6), identity(workspace="", revision=0), False),
        (rpc.Revocation(), identity(session="", workspace="", revision=0), False),
    ],
)
def test_what_a_revocation_concerns(revocation: rpc.Revocation, who: Identity, is_revoked: bool) -> None:
    known = Revocations()
    assert not known.is_revoked(who)
    known.apply(told(revocation))
    assert known.is_revoked(who) is is_revoked


def test_an_older_state_takes_nothing_back() -> None:
    known = Revocations()
    known.apply(told(rights("acme", 9)))
    known.apply(told(rights("acme", 3)))
    assert known.is_revoked(identity(revision=8))


def test_a_snapshot_replaces_what_was_known() -> None:
    known = Revocations()
    known.apply(told(session("login:1"), rights("acme", 9), snapshot=True, registry="r1"))
    known.apply(told(session("login:2"), snapshot=True, registry="r2"))
    assert not known.is_revoked(identity(revision=0))
    assert known.is_revoked(identity("login:2"))


@pytest.mark.parametrize("registry", ["r1", ""])
def test_a_snapshot_of_a_replica_that_lies_behind_takes_no_right_back(registry: str) -> None:
    """It has not heard of the later change of acme, nor of beta's at all; one that just started has heard nothing."""
    known = Revocations()
    known.apply(told(rights("acme", 9), rights("beta", 9, "ada"), snapshot=True, registry="r1"))
    known.apply(told(rights("acme", 7), rights("gamma", 3), snapshot=True, registry=registry))
    assert known.is_revoked(identity(revision=8))
    assert known.is_revoked(identity(workspace="beta", revision=8))
    assert known.is_revoked(identity(workspace="gamma", revision=2))
    assert not known.is_revoked(identity(revision=9))


def test_memory_is_bounded_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Revocations()
    known.apply(told(session("login:1")))
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock + KEPT_SECONDS + 1)
    known.apply(told(session("login:2")))
    assert not known.is_revoked(identity("login:1"))
    assert known.is_revoked(identity("login:2"))


def test_the_age_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Revocations()
    assert known.age_seconds() is None
    with pytest.raises(Unavailable, match="not told yet"):
        known.check()
    known.apply(told(snapshot=True))
    assert known.check() == {"revocations_age_seconds": 0.0}
    known.lost()
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock + 30)
    with pytest.raises(Unavailable, match="30 s ago"):
        known.check()
    known.apply(told())
    assert known.age_seconds() == 0.0


async def ended(block: Any) -> BaseException | None:
    """How a block that waits for ever ends."""
    try:
        await block
    except BaseException as error:
        return error
    return None


async def wait_in(known: Revocations, who: Identity | None, entered: asyncio.Event, **options: Any) -> None:
    async with known.standing(who, **options):
        entered.set()
        await asyncio.Event().wait()


async def started(known: Revocations, who: Identity | None, **options: Any) -> asyncio.Task[Any]:
    entered = asyncio.Event()
    task = asyncio.create_task(ended(wait_in(known, who, entered, **options)))
    await entered.wait()
    return task


async def test_a_block_ends_when_its_identity_does_and_no_other() -> None:
    known = Revocations()
    hers, others = await started(known, identity("login:1")), await started(known, identity("login:2"))
    known.apply(told(session("login:1")))
    assert isinstance(await hers, Unauthenticated)
    assert not others.done()
    known.apply(told(rights("acme", 6)))
    assert isinstance(await others, Unauthenticated)


async def test_who_is_revoked_does_not_begin() -> None:
    known = Revocations()
    known.apply(told(session("login:1")))
    with pytest.raises(Unauthenticated):
        async with known.standing(identity("login:1")):
            pytest.fail("nothing may begin")


async def test_a_snapshot_ends_blocks_too() -> None:
    """What was missed while the auth service was away is made up for."""
    known = Revocations()
    task = await started(known, identity("login:1"))
    known.lost()
    known.apply(told(session("login:1"), snapshot=True))
    assert isinstance(await task, Unauthenticated)


async def test_nobodys_block_and_one_that_has_not_begun_stay() -> None:
    known = Revocations()
    peers, later = await started(known, None), await started(known, identity(), later=True)
    known.apply(told(session("login:1")))
    await asyncio.sleep(0)
    assert not peers.done()
    assert not later.done()
    for task in (peers, later):
        task.cancel()
        assert isinstance(await task, asyncio.CancelledError)


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    known = Revocations()
    task = await started(known, identity())
    task.cancel()
    assert isinstance(await task, asyncio.CancelledError)
    both = await started(known, identity())
    both.cancel()
    known.apply(told(session("login:1")))
    assert isinstance(await both, asyncio.CancelledError)


async def test_nothing_is_cancelled_while_a_message_is_on_its_way() -> None:
    known, steps = Revocations(), []

    async def stream() -> None:
        async with known.standing(identity()) as standing:
            with standing.sending():
                known.apply(told(session("login:1")))
                await asyncio.sleep(0)
                steps.append("sent")
            steps.append("never")

    assert isinstance(await ended(stream()), Unauthenticated)
    assert steps == ["sent"]


async def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyairtable_platform.common.revocations._SENDING_SECONDS", 0.01)
    known = Revocations()

    async def stream() -> None:
        async with known.standing(identity()) as standing:
            with standing.sending():
                known.apply(told(session("login:1")))
                await asyncio.Event().wait()

    assert isinstance(await ended(stream()), Unauthenticated)


async def test_errors_of_the_block_pass() -> None:
    known = Revocations()
    with pytest.raises(ZeroDivisionError):
        async with known.standing(identity()):
            raise ZeroDivisionError
    known.apply(told(session("login:1")))  # nobody is left to end
