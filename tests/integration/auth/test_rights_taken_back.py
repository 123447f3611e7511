"""From a change of the registry to the readers of WatchRevocations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
import pytest_asyncio
from integration.auth.token_kit import House, Registry, house_over, until

from pyairtable_platform.common.errors import Denied
from pyairtable_platform.common.identity import Identity, identity_in
from pyairtable_platform.common.revocations import Revocations
from pyairtable_protos.auth.v1 import auth_service_pb2, auth_service_pb2_grpc
from pyairtable_protos.workspaces.v1 import workspace_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(module_database_url: str) -> AsyncIterator[House]:
    async with house_over(module_database_url) as running:
        yield running


@dataclass
class Reader:
    """A service that follows the revocations of one replica."""

    known: Revocations = field(default_factory=Revocations)
    messages: list[Any] = field(default_factory=list)

    async def follow(self, house: House, replica: int) -> None:
        channel = house.replicas[replica]
        stub: Any = auth_service_pb2_grpc.AuthServiceStub(channel.channel)
        async for told in channel.stream(stub.WatchRevocations, auth_service_pb2.WatchRevocationsRequest(), timeout=60):
            self.messages.append(told)
            self.known.apply(told)


@asynccontextmanager
async def readers(house: House) -> AsyncIterator[list[Reader]]:
    """A reader of each replica, who has had the snapshot."""
    both = [Reader(), Reader()]
    tasks = [asyncio.create_task(reader.follow(house, replica)) for replica, reader in enumerate(both)]
    try:
        await until(lambda: all(reader.messages for reader in both))
        yield both
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def identity(answer: Any) -> Identity:
    token = answer.identity_token
    return identity_in(jwt.decode(token, options={"verify_signature": False}), token)


async def entered(house: House, workspace: str, token: str) -> list[Identity]:
    """Identities in a workspace, as each replica signs them."""

    async def one(replica: int) -> Any:
        async with asyncio.timeout(30):
            while True:
                try:
                    return await house.authorize(token, workspace, replica)
                except Denied:
                    await asyncio.sleep(0.02)

    return [identity(await one(replica)) for replica in range(2)]


async def test_a_removed_member_is_told_to_every_reader_and_nobody_else_is(house: House) -> None:
    ada, bob = await house.person(), await house.person()
    (_, adas), (_, bobs) = await house.login(ada), await house.login(bob)
    house.registry.declare("team", members={ada: "editor", bob: "viewer"})
    for_ada, for_bob = await entered(house, "team", adas), await entered(house, "team", bobs)
    async with readers(house) as both:
        house.registry.declare("team", members={bob: "viewer"})
        for reader in both:
            for shown in for_ada:
                await until(reader.known.is_revoked, shown)
            assert not any(reader.known.is_revoked(shown) for shown in for_bob)
        for replica in range(2):
            await until(denied, house, adas, "team", replica)
        house.registry.declare("team", members={ada: "viewer", bob: "viewer"})
        again = await entered(house, "team", adas)
        assert [shown.role for shown in again] == ["viewer", "viewer"]
        assert not any(reader.known.is_revoked(shown) for shown in again for reader in both)


async def denied(house: House, token: str, workspace: str, replica: int) -> bool:
    try:
        await house.authorize(token, workspace, replica)
    except Denied:
        return True
    return False


OWNER = workspace_pb2.Owner(kind="User", name="somebody@example.com")
PROGRAM = workspace_pb2.Owner(kind="ServiceAccount", name="bot", namespace="ws-team")


@pytest.mark.parametrize(
    ("before", "after", "is_told"),
    [
        ({}, None, True),
        ({}, {"suspended": True}, True),
        ({}, {"uid": "uid-2"}, True),
        ({}, {"owners": [OWNER]}, True),
        ({"owners": [OWNER, PROGRAM]}, {"owners": [OWNER]}, True),
        ({"suspended": True}, {}, False),
        ({}, {}, False),
    ],
)
async def test_what_cuts_everybody_off_is_told(
    house: House, before: dict[str, Any], after: dict[str, Any] | None, is_told: bool
) -> None:
    ada = await house.person()
    name = f"cut-{ada[:8]}"
    house.registry.declare(name, members={ada: "editor"}, **before)
    async with readers(house) as both:
        revision = (
            house.registry.remove(name)
            if after is None
            else house.registry.declare(name, members={ada: "editor"}, **after)
        )
        marker = house.registry.declare(f"{name}-marker", members={ada: "editor"})
        house.registry.declare(f"{name}-marker", members={})
        for reader in both:
            await until(revoked_in, reader, f"{name}-marker")
            assert (revision in revoked_in(reader, name)) == is_told
    assert marker > revision


def revoked_in(reader: Reader, workspace: str) -> list[int]:
    """Revisions that were told of a workspace after the snapshot."""
    told = [revocation for message in reader.messages[1:] for revocation in message.revocations]
    return [revocation.revision for revocation in told if revocation.workspace == workspace]


async def test_who_reads_late_is_told_in_the_snapshot(house: House) -> None:
    ada = await house.person()
    _, token = await house.login(ada)
    house.registry.declare("late", members={ada: "owner"})
    shown = await entered(house, "late", token)
    house.registry.declare("late", members={})
    for replica in range(2):
        await until(denied, house, token, "late", replica)
    async with readers(house) as both:
        assert all(reader.known.is_revoked(each) for reader in both for each in shown)


async def test_a_replica_that_starts_lets_no_older_token_count(house: House, module_database_url: str) -> None:
    """It does not know what a workspace was before: whatever was signed before its last change is signed anew."""
    ada = await house.person()
    _, token = await house.login(ada)
    house.registry.declare("old", members={ada: "owner"})
    shown = await entered(house, "old", token)
    later = Registry()  # type: ignore[abstract]
    later.revision = house.registry.revision
    later.declare("old", members={ada: "editor"})
    async with house_over(module_database_url, registry=later) as other, readers(other) as both:
        assert all(reader.known.is_revoked(each) for reader in both for each in shown)
        signed = await entered(other, "old", token)
        assert not any(reader.known.is_revoked(each) for reader in both for each in signed)


def has_ended(reader: Reader, shown: Identity, expected: bool) -> bool:
    return reader.known.has_ended(shown) == expected


async def test_an_ended_access_key_is_told_with_its_session(house: House) -> None:
    ada = await house.person()
    _, token = await house.login(ada)
    house.registry.declare("keys", members={ada: "owner"})
    await entered(house, "keys", token)
    made = await house.call("CreateAccessKey", workspace="keys")
    shown = identity(await house.authorize(made.key))
    async with readers(house) as both:
        await house.call("RevokeAccessKey", 1, workspace="keys", key_id=made.access_key.key_id)
        for reader in both:
            await until(reader.known.has_ended, shown)


async def test_a_key_that_is_declared_again_counts_again(house: House) -> None:
    ada = await house.person()
    _, token = await house.login(ada)
    house.registry.declare("operated", members={ada: "owner"})
    await entered(house, "operated", token)
    declared = auth_service_pb2.DeclaredAccessKey(key_id="declared0001", sha256="0" * 64)
    session = "access-key:declared0001"
    said: Any = {"sub": session, "sid": session, "workspace": "operated", "role": "editor", "scope": ""}
    said |= {"rev": house.registry.revision, "iat": 1, "exp": 2}
    shown = identity_in(said, "")
    async with readers(house) as both:
        for keys, ended in (([declared], False), ([], True), ([declared], False), ([], True)):
            await house.call("ApplyAccessKeys", workspace="operated", keys=keys)
            for reader in both:
                await until(has_ended, reader, shown, ended)
