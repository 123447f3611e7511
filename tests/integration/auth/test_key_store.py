"""Access keys and signing keys over PostgreSQL with two replicas at once."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.auth.api_key_store import ApiKeyStore
from pyairtable_platform.auth.authorizing import Authorizing, Sources
from pyairtable_platform.auth.decisions import Decisions
from pyairtable_platform.auth.people import People
from pyairtable_platform.auth.records import Declared
from pyairtable_platform.auth.service import AuthService
from pyairtable_platform.auth.signers import Signers
from pyairtable_platform.auth.signing import Seal
from pyairtable_platform.auth.store import AuthStore
from pyairtable_platform.common.database import EVERY_WORKSPACE, open_engine, transaction
from pyairtable_platform.common.errors import (
    Denied,
    FailedPrecondition,
    InvalidInput,
    NotFound,
    PyAirtableError,
    Reason,
    Unauthenticated,
)
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings

SECRET = "plainly-not-a-real-secret-of-this-test"
HOUR = timedelta(hours=1)


class FakeRegistry:
    """Knows two workspaces; acme's object can be made anew."""

    revision = 7

    def __init__(self) -> None:
        self.uids = {"acme": "uid-1", "beta": ""}

    def resolve(self, name: str) -> Any:
        if name not in self.uids:
            raise NotFound(name, reason=Reason.WORKSPACE_NOT_FOUND)
        return SimpleNamespace(name=name, source=SimpleNamespace(uid=self.uids[name]))


@dataclass
class Replica:
    """An auth service over a database."""

    service: AuthService
    signers: Signers
    store: AuthStore
    engine: AsyncEngine
    registry: FakeRegistry
    authorizing: Authorizing

    async def rows(self, statement: str) -> list[Any]:
        async with transaction(self.engine, EVERY_WORKSPACE) as connection:
            result = await connection.execute(sqlalchemy.text(statement))
            return list(result.all()) if result.returns_rows else []


def authorizing_over(engine: AsyncEngine, signers: Signers, rights: Any) -> Authorizing:
    """Decisions over a database."""
    keys, people, nobody = ApiKeyStore(engine), People(engine, ()), cast(Any, None)
    return Authorizing(signers, Sources(AuthStore(engine), keys, people, rights, nobody, Decisions(engine)))


@asynccontextmanager
async def replica_over(database_url: str, secret: str = SECRET) -> AsyncIterator[Replica]:
    engine = open_engine(DatabaseSettings(database_url=database_url, db_pool_size=5), "auth")  # type: ignore[arg-type]
    store, registry = AuthStore(engine), FakeRegistry()
    signers = Signers(store, Seal(secret))
    try:
        yield Replica(
            AuthService(store, registry), signers, store, engine, registry, authorizing_over(engine, signers, registry)
        )
    finally:
        await engine.dispose()


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[tuple[Replica, Replica]]:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(replica_over(database_url))
        yield first, await stack.enter_async_context(replica_over(database_url))


@pytest.fixture
def auth(replicas: tuple[Replica, Replica]) -> AuthService:
    return replicas[0].service


def declared(name: str, expires_at: datetime | None = None) -> Declared:
    return Declared(f"declared{name}", hashlib.sha256(name.encode()).digest(), expires_at)


async def outcomes(calls: list[Any]) -> tuple[list[Any], list[PyAirtableError]]:
    """Results and typed errors; anything else fails the test."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, PyAirtableError) for error in errors), errors
    return [result for result in results if not isinstance(result, BaseException)], errors  # type: ignore[return-value]


async def test_of_a_hundred_rotations_at_once_one_wins(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    text, key = await first.service.create("acme", "app", "", None)
    both = itertools.cycle((first.service, second.service))
    won, lost = await outcomes([next(both).rotate("acme", key.key_id, HOUR) for _ in range(100)])
    assert len(won) == 1
    assert {type(error) for error in lost} == {FailedPrecondition}
    assert {error.metadata["key"] for error in lost} == {won[0][1].key_id}
    page, _ = await first.service.page("acme", "", 100, "")
    assert len(page) == 2
    for working in (text, won[0][0]):
        assert (await second.authorizing.authorize(working, "")).workspace == "acme"


async def test_replicas_that_declare_the_same_at_once_agree(replicas: tuple[Replica, Replica]) -> None:
    both = itertools.cycle(replica.service for replica in replicas)
    wanted = [declared("one"), declared("two", datetime.now(UTC) + HOUR)]
    changed, errors = await outcomes([next(both).apply("acme", wanted) for _ in range(40)])
    assert not errors
    assert sum(changed) == 1
    page, _ = await replicas[0].service.page("acme", "", 100, "")
    assert sorted(key.key_id for key in page) == ["declaredone", "declaredtwo"]


async def test_an_id_is_taken_by_one_workspace(replicas: tuple[Replica, Replica]) -> None:
    """Each workspace has a lock of its own, so that the two meet at the table's key."""
    first, second = (replica.service for replica in replicas)
    for number in range(10):
        wanted = [declared(str(number))]
        won, lost = await outcomes([first.apply("acme", wanted), second.apply("beta", wanted)])
        assert (won, [type(error) for error in lost]) == ([True], [FailedPrecondition])


async def test_a_declaration_makes_the_keys_exactly_these(auth: AuthService, replicas: tuple[Replica, Replica]) -> None:
    text, created = await auth.create("acme", "by hand", "viewer", None)
    ends = datetime.now(UTC) + HOUR
    assert await auth.apply("acme", [declared("one")])
    assert not await auth.apply("acme", [declared("one")])
    assert await auth.apply("acme", [declared("two"), declared("one", ends)])
    assert not await auth.apply("acme", [declared("one", ends), declared("two")])
    assert await auth.apply("acme", [declared("two")])
    keys = {key.key_id: key for key in (await auth.page("acme", "", 100, ""))[0]}
    assert keys["declaredone"].revoked_at is not None
    assert keys["declaredtwo"].revoked_at is None
    assert keys[created.key_id].revoked_at is None
    assert await auth.apply("acme", [declared("one")])
    assert {key.key_id for key in (await auth.page("acme", "", 9, ""))[0] if key.revoked_at} == {"declaredtwo"}
    assert (await replicas[0].authorizing.authorize(text, "acme")).role == "viewer"


async def test_what_was_revoked_by_hand_is_not_declared_again(auth: AuthService) -> None:
    await auth.apply("acme", [declared("one")])
    assert (await auth.revoke("acme", "declaredone")).revoked_at
    assert (await auth.revoke("acme", "declaredone")).revoked_at
    with pytest.raises(FailedPrecondition, match="was revoked"):
        await auth.apply("acme", [declared("one")])
    assert await auth.apply("acme", [declared("two")])


DECLARED_TEXT = f"pya_operator0001_{'k' * 43}"
DECLARED = Declared("operator0001", hashlib.sha256(DECLARED_TEXT.encode()).digest(), None)


async def works(replica: Replica, text: str = DECLARED_TEXT) -> bool:
    try:
        await replica.authorizing.authorize(text, "")
    except Unauthenticated:
        return False
    return True


async def test_a_declared_key_opens_only_the_object_it_was_declared_for(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    assert await first.service.apply("acme", [DECLARED], uid="uid-1")
    assert not await second.service.apply("acme", [DECLARED], uid="uid-1")
    assert await works(first)
    assert await works(second)
    first.registry.uids["acme"] = second.registry.uids["acme"] = "uid-2"
    with pytest.raises(Unauthenticated, match="made anew"):
        await first.authorizing.authorize(DECLARED_TEXT, "")
    assert await first.service.apply("acme", [DECLARED], uid="uid-2"), "the new object's operator says it is its key"
    assert await works(second)


async def test_who_is_done_with_an_object_late_does_not_end_its_successors_keys(
    replicas: tuple[Replica, Replica],
) -> None:
    first, _ = replicas
    await first.service.apply("acme", [declared("one")], uid="uid-0")
    assert await first.service.apply("acme", [DECLARED], uid="uid-1")
    assert {key.key_id for key in (await first.service.page("acme", "", 9, ""))[0] if key.revoked_at} == {"declaredone"}
    assert not await first.service.apply("acme", [], uid="uid-0")
    assert await works(first)
    assert await first.service.apply("acme", [], uid="uid-1")
    assert not await works(first)


async def test_keys_declared_without_an_object_end_with_any(replicas: tuple[Replica, Replica]) -> None:
    first, _ = replicas
    await first.service.apply("acme", [DECLARED])
    assert await works(first)
    assert await first.service.apply("acme", [], uid="uid-1")
    assert not await works(first)


async def test_declared_keys_are_rotated_by_their_owner_only(auth: AuthService) -> None:
    await auth.apply("acme", [declared("one")])
    with pytest.raises(FailedPrecondition, match="operator"):
        await auth.rotate("acme", "declaredone", HOUR)
    with pytest.raises(InvalidInput):
        await auth.apply("acme", [declared("one"), declared("one")])


async def test_a_key_of_another_workspace_is_not_there(auth: AuthService) -> None:
    _, key = await auth.create("acme", "", "", None)
    for call in (auth.rotate("beta", key.key_id, HOUR), auth.revoke("beta", key.key_id), auth.revoke("acme", "nope")):
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.reason is Reason.ACCESS_KEY_NOT_FOUND
    with pytest.raises(NotFound):
        await auth.create("never-heard-of", "", "", None)
    with pytest.raises(InvalidInput):
        await auth.create("acme", "", "", datetime.now(UTC))


async def test_a_key_is_for_its_workspace_and_its_object(replicas: tuple[Replica, Replica]) -> None:
    first, _ = replicas
    text, _ = await first.service.create("acme", "", "", None)
    with pytest.raises(Denied):
        await first.authorizing.authorize(text, "beta")
    first.registry.uids["acme"] = "uid-2"
    with pytest.raises(Unauthenticated, match="made anew"):
        await first.authorizing.authorize(text, "")


async def test_a_rotation_lasts_as_long_as_its_key_and_prolongs_nothing(auth: AuthService) -> None:
    ends = datetime.now(UTC) + timedelta(minutes=10)
    _, key = await auth.create("acme", "", "admin", ends)
    _, new, old = await auth.rotate("acme", key.key_id, HOUR)
    assert old.expires_at == key.expires_at
    assert new.role == "admin"
    assert new.expires_at is not None
    assert abs(new.expires_at - ends) < timedelta(minutes=1)
    await auth.revoke("acme", new.key_id)
    with pytest.raises(FailedPrecondition, match="has ended"):
        await auth.rotate("acme", new.key_id, HOUR)


async def test_pages_hold_every_key_once(auth: AuthService) -> None:
    made = [(await auth.create("acme", str(n), "", None))[1].key_id for n in range(7)]
    await auth.create("beta", "", "", None)
    found, token = [], ""
    while True:
        page, token = await auth.page("acme", "", 3, token)
        found += [key.key_id for key in page]
        if not token:
            break
    assert found == made[::-1]
    assert [key.key_id for key in (await auth.page("acme", made[0][:11], 3, ""))[0]] == [made[0]]
    for wrong in ("x", "####", "eCB5", "bm90LWEtdGltZSBrZXk="):
        with pytest.raises(InvalidInput) as caught:
            await auth.page("acme", "", 3, wrong)
        assert caught.value.reason is Reason.PAGE_TOKEN_INVALID


async def test_use_is_kept_to_the_minute_and_written_once_in_it(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    text, key = await first.service.create("acme", "", "", None)
    assert key.last_used_at is None
    await asyncio.gather(*(replica.authorizing.authorize(text, "") for replica in (first, second) for _ in range(5)))
    version = "SELECT xmin::text, last_used_at FROM access_keys"
    before = await first.rows(version)
    assert (before[0].last_used_at.second, before[0].last_used_at.microsecond) == (0, 0)
    await first.rows("UPDATE access_keys SET last_used_at = date_trunc('minute', now()) + interval '1 minute'")
    before = await first.rows(version)
    await first.authorizing.authorize(text, "")
    assert await first.rows(version) == before


async def test_replicas_that_start_together_make_one_signing_key(database_url: str) -> None:
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(replica_over(database_url)) for _ in range(5)]
        kids = await asyncio.gather(*(replica.signers.current() for replica in started))
        assert len({key.kid for key in kids}) == 1
        text, _ = await started[0].service.create("acme", "", "", None)
        token = (await started[0].authorizing.authorize(text, "")).token
        assert (await started[4].authorizing.authorize(token, "")).workspace == "acme"


async def test_another_jwt_secret_is_told_and_changes_nothing(database_url: str) -> None:
    async with replica_over(database_url) as right:
        await right.signers.check()
        before = await right.rows("SELECT * FROM signing_keys")
        async with replica_over(database_url, "another secret") as wrong:
            with pytest.raises(FailedPrecondition, match="JWT_SECRET"):
                await wrong.signers.check()
        assert await right.rows("SELECT * FROM signing_keys") == before


async def test_no_secret_is_in_the_database(replicas: tuple[Replica, Replica]) -> None:
    first, _ = replicas
    text, key = await first.service.create("acme", "", "", None)
    new, _, _ = await first.service.rotate("acme", key.key_id, HOUR)
    await first.authorizing.authorize(text, "")
    private = (await first.signers.current()).private_key.private_bytes_raw()
    dump = str([await first.rows(f"TABLE {table}") for table in ("access_keys", "signing_keys")])
    for secret in (text.split("_", 2)[2], new.split("_", 2)[2], SECRET, repr(private)[2:-1]):
        assert secret not in dump
    assert text not in repr(key)
    assert str(key.sha256) not in repr(key)


async def test_the_tables_go_and_come_back(database_url: str) -> None:
    settings = DatabaseSettings(database_url=database_url)  # type: ignore[arg-type]
    async with replica_over(database_url) as replica:
        await replica.service.create("acme", "", "", None)
    await migrate_async(settings, ("auth",), "base")
    await migrate_async(settings, ("auth",))
    async with replica_over(database_url) as replica:
        assert await replica.rows("TABLE access_keys") == []
