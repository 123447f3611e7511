"""What the auth service still does while PostgreSQL is away, or takes no writes."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.exc import DBAPIError

from pyairtable_platform.auth import keys
from pyairtable_platform.auth.authorizing import Authorizing, Sources
from pyairtable_platform.auth.records import AccessKey
from pyairtable_platform.auth.signers import Signers
from pyairtable_platform.auth.signing import Seal, StoredSigningKey
from pyairtable_platform.common.database import unavailable
from pyairtable_platform.common.errors import Unavailable

KEY = keys.new_key()
READ_ONLY = DBAPIError("UPDATE", None, Exception("cannot execute UPDATE in a read-only transaction"))


class FakeStore:
    """Holds a key and the signing keys; counts how often those are read."""

    def __init__(self) -> None:
        self.signing: list[StoredSigningKey] = []
        self.reads = 0
        self.is_away = False
        self.write_fails: Exception | None = None

    async def find(self, key_id: str) -> AccessKey | None:
        return AccessKey(KEY.key_id, "acme", "", "editor", False, keys.digest(KEY.text), datetime.now(UTC))

    async def used(self, key_id: str, minute: datetime) -> None:
        if self.write_fails is not None:
            raise self.write_fails

    async def signing_keys(self) -> list[StoredSigningKey]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise unavailable()
        return self.signing

    async def first_signing_key(self, made: StoredSigningKey) -> list[StoredSigningKey]:
        self.signing = [made]
        return self.signing


class Registry:
    """Knows any workspace."""

    revision = 7

    def resolve(self, name: str) -> Any:
        return SimpleNamespace(name=name, source=SimpleNamespace(uid="uid-1"))


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def signers(store: FakeStore) -> Signers:
    return Signers(cast(Any, store), Seal("a secret of this test"))


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    clock = time.monotonic() + seconds
    monkeypatch.setattr(time, "monotonic", lambda: clock)


@pytest.mark.parametrize("failure", [READ_ONLY, unavailable(), TimeoutError()])
async def test_a_key_opens_although_its_use_cannot_be_noted(
    store: FakeStore, signers: Signers, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    store.write_fails = failure
    nobody = cast(Any, None)
    with caplog.at_level(logging.WARNING):
        sources = Sources(
            cast(Any, store), nobody, nobody, cast(Any, Registry()), nobody, cast(Any, SimpleNamespace(note=str))
        )
        found = await Authorizing(signers, sources).authorize(KEY.text, "acme")
    assert found.workspace == "acme"
    assert "was not noted" in caplog.text
    assert KEY.text not in str(caplog.records[0].__dict__)


async def test_signing_keys_go_on_counting_while_the_database_is_away(
    store: FakeStore, signers: Signers, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await signers.current()
    store.is_away = True
    later(monkeypatch, 31)
    assert (await signers.current()).kid == before.kid
    assert (await signers.stored())[0].kid == before.kid
    assert store.reads == 2, "a database that is away is not asked at every call"


async def test_without_any_signing_key_the_database_is_needed(store: FakeStore, signers: Signers) -> None:
    store.is_away = True
    with pytest.raises(Unavailable):
        await signers.check()
    store.is_away = False
    await signers.check()


async def test_callers_share_one_question_for_the_signing_keys(store: FakeStore, signers: Signers) -> None:
    kids = {key.kid for key in await asyncio.gather(*(signers.current() for _ in range(20)))}
    assert len(kids) == 1
    assert store.reads == 1
