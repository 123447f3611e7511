"""What is remembered of credentials: checked values stay in use, new ones wait, nothing of one tenant helps another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from pyairtable_platform.common.errors import FailedPrecondition, PyAirtableError, Reason, Unavailable
from pyairtable_platform.common.secrets import NotUsable, Secrets, SecretSource, version_of
from pyairtable_platform.common.workspace import SecretRef

OLD, NEW = b"old-value-of-nobody", b"new-value-of-nobody"


@dataclass
class FakeSource(SecretSource):
    """One value for the workspace acme."""

    content: bytes = OLD
    is_away: bool = False
    reads: int = 0
    now: float = 0.0
    keep_seconds: float = 30.0
    longest_pause: float = 10.0
    gate: asyncio.Event | None = field(default=None)

    async def read(self, workspace: str, secret: SecretRef) -> bytes:
        self.reads += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.is_away:
            raise Unavailable("the place is away", dependency="kubernetes")
        if workspace != "acme":
            raise NotUsable("it has not opted in")
        return self.content


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
def secrets(source: FakeSource) -> Secrets:
    return Secrets(source, "Airtable token", clock=lambda: source.now)


def reference(content: bytes | None) -> SecretRef:
    return SecretRef("acme-airtable", "token", version_of(content) if content is not None else "")


async def value(secrets: Secrets, content: bytes | None, **options: bool) -> bytes:
    return (await secrets.read("acme", reference(content), **options)).value.encode()


async def test_a_checked_value_is_read_once_and_shows_nowhere(source: FakeSource, secrets: Secrets) -> None:
    for _ in range(3):
        credential = await secrets.read("acme", reference(OLD))
    assert source.reads == 1
    assert OLD.decode() not in repr(credential) + str(credential) + credential.key + repr(secrets)


async def test_while_the_place_holds_another_value_the_checked_one_goes_on_being_used(
    source: FakeSource, secrets: Secrets
) -> None:
    assert await value(secrets, OLD) == OLD
    source.content = NEW
    source.now += 1000
    assert await value(secrets, OLD) == OLD
    assert source.reads == 1


async def test_a_process_that_never_had_the_checked_value_says_that_the_new_one_waits(
    source: FakeSource, secrets: Secrets
) -> None:
    source.content = NEW
    with pytest.raises(FailedPrecondition, match="not been checked yet") as caught:
        await secrets.read("acme", reference(OLD))
    assert caught.value.reason is Reason.CREDENTIAL_MISSING
    assert NEW.decode() not in str(caught.value)


async def test_a_candidate_displaces_nothing_until_it_is_in_force(source: FakeSource, secrets: Secrets) -> None:
    assert await value(secrets, OLD) == OLD
    for content in (b"first-try", b"second-try", NEW):
        source.content = content
        assert await value(secrets, content, candidate=True) == content
        assert await value(secrets, OLD) == OLD, "a candidate that failed its check leaves the old one in use"
    reads = source.reads
    assert await value(secrets, NEW) == NEW
    assert source.reads == reads, "what was checked here need not be read again"
    source.content = b"later"
    with pytest.raises(FailedPrecondition):
        await value(secrets, OLD)


async def test_one_workspace_cannot_use_what_another_has_read(source: FakeSource, secrets: Secrets) -> None:
    await secrets.read("acme", reference(OLD))
    for candidate in (False, True):
        with pytest.raises(FailedPrecondition, match="opted in"):
            await secrets.read("mallory", reference(OLD), candidate=candidate)


async def test_a_workspace_that_was_made_anew_uses_nothing_that_was_read_for_the_old_one(
    source: FakeSource, secrets: Secrets
) -> None:
    for version in (OLD, None):
        assert (await secrets.read("acme:uid-1", reference(version))).value.encode() == OLD
    source.is_away = True
    for version in (OLD, None):
        assert (await secrets.read("acme:uid-1", reference(version))).value.encode() == OLD
        for candidate in (False, True):
            with pytest.raises(Unavailable):
                await secrets.read("acme:uid-2", reference(version), candidate=candidate)
    source.is_away, source.now = False, 1000
    source.content = NEW
    with pytest.raises(FailedPrecondition, match='workspace "acme" has no Airtable token'):
        await secrets.read("acme:uid-2", reference(OLD))


async def test_without_a_version_the_value_is_looked_at_from_time_to_time(source: FakeSource, secrets: Secrets) -> None:
    assert await value(secrets, None) == OLD
    source.content = NEW
    assert await value(secrets, None) == OLD
    source.now += 31
    assert await value(secrets, None) == NEW
    source.now += 31
    source.is_away = True
    assert await value(secrets, None) == NEW, "the last one serves while one cannot look"


@pytest.mark.parametrize("is_away", [True, False])
async def test_a_failure_is_remembered_for_a_growing_while(source: FakeSource, secrets: Secrets, is_away: bool) -> None:
    source.is_away, source.content = is_away, NEW
    looked_at: list[float] = []
    while source.now < 60:
        before = source.reads
        with pytest.raises(PyAirtableError) as caught:
            await secrets.read("acme", reference(OLD))
        assert caught.value.reason in (Reason.CREDENTIAL_MISSING, Reason.DEPENDENCY_UNAVAILABLE)
        if source.reads > before:
            looked_at.append(source.now)
        source.now += 0.25
    pauses = [later - earlier for earlier, later in pairwise(looked_at)]
    assert pauses[:3] == [0.5, 1.0, 2.0]
    assert max(pauses) == 10.0
    source.is_away, source.content = False, OLD
    source.now += 10
    assert await value(secrets, OLD) == OLD


async def test_a_candidate_is_looked_for_at_once(source: FakeSource, secrets: Secrets) -> None:
    source.content = b""
    with pytest.raises(FailedPrecondition):
        await value(secrets, OLD)
    source.content = OLD
    assert await value(secrets, OLD, candidate=True) == OLD
    assert await value(secrets, OLD) == OLD


async def test_callers_that_come_together_share_one_look(source: FakeSource, secrets: Secrets) -> None:
    source.gate = asyncio.Event()
    first, *others = [asyncio.create_task(value(secrets, OLD)) for _ in range(5)]
    for _ in range(10):
        await asyncio.sleep(0)
    first.cancel()
    source.gate.set()
    assert await asyncio.gather(*others) == [OLD] * 4
    assert source.reads == 1


@pytest.mark.parametrize("content", [b"", b" \n", b"two\nlines", "grün".encode(), b"\xff", b"nul\x00"])
async def test_what_is_no_credential_is_told_without_showing_it(
    source: FakeSource, secrets: Secrets, content: bytes
) -> None:
    source.content = content
    with pytest.raises(FailedPrecondition, match="acme-airtable") as caught:
        await secrets.read("acme", reference(None))
    assert caught.value.reason is Reason.CREDENTIAL_MISSING
    assert "lines" not in str(caught.value)


async def test_a_line_end_behind_the_value_is_not_part_of_it(source: FakeSource, secrets: Secrets) -> None:
    source.content = OLD + b"\n"
    assert await value(secrets, OLD + b"\n") == OLD
