"""Signing keys changed under two replicas and those who verify: nobody is ever refused."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from typing import Any

import jwt
import pytest
from integration.auth.token_kit import House, house_over, until

from pyairtable_platform.auth import signers, store
from pyairtable_platform.common import identity
from pyairtable_platform.common.errors import Unauthenticated
from pyairtable_platform.common.identity import Verifier


@pytest.fixture
async def house(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """Everything waits for tenths of what it waits for in earnest, in the same proportions."""
    monkeypatch.setattr(signers, "_REREAD_SECONDS", 1.0)
    monkeypatch.setattr(signers, "_UNKNOWN_SECONDS", 0.2)
    monkeypatch.setattr(identity, "_REFRESH_FLOOR_SECONDS", 0.2)
    monkeypatch.setattr(store, "PUBLISHED_SECONDS", 1.5)
    async with house_over(database_url) as running:
        yield running


class Replica:
    """Public keys as one replica publishes them."""

    def __init__(self, house: House, replica: int) -> None:
        self._house, self._replica = house, replica

    async def signing_keys(self) -> Mapping[str, Any]:
        answer = await self._house.call("GetSigningKeys", self._replica)
        return {
            key.kid: jwt.PyJWK({"kty": key.kty, "crv": key.crv, "alg": key.alg, "x": key.x}).key for key in answer.keys
        }


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def test_no_token_is_refused_while_keys_change(house: House) -> None:
    user_id = await house.person()
    _, token = await house.login(user_id)
    # Each has asked the one replica and is shown what the other one signed.
    verifiers = [Verifier(Replica(house, replica)) for replica in range(2)]
    made: list[str] = []
    kids: list[str] = []

    async def verified_everywhere(replica: int) -> str:
        signed = (await house.authorize(token, replica=replica)).identity_token
        for verifier in verifiers:
            await verifier.verify(signed)
        return kid(signed)

    for rotation in range(2):
        made.append((await house.call("RotateSigningKey", rotation)).key.kid)
        async with asyncio.timeout(30):
            for replica in itertools.cycle(range(2)):
                kids.append(await verified_everywhere(replica))
                if kids[-2:] == [made[-1]] * 2:
                    break
                await asyncio.sleep(0.02)
    assert len(set(kids)) == 3
    assert kids[0] not in made, "a new key is shown before it signs"
    old = await house.authorize(token)
    assert kid(old.identity_token) == made[-1]


async def test_of_rotations_at_once_one_makes_a_key(house: House) -> None:
    answers = await asyncio.gather(*(house.call("RotateSigningKey", number % 2) for number in range(20)))
    assert len({answer.key.kid for answer in answers}) == 1
    assert len((await house.call("GetSigningKeys")).keys) == 2


async def test_an_old_keys_tokens_count_until_they_cannot_be_renewed(house: House) -> None:
    user_id = await house.person()
    _, token = await house.login(user_id)
    before = (await house.authorize(token)).identity_token
    await house.call("RotateSigningKey")

    async def has_changed() -> bool:
        signed = [kid((await house.authorize(token, replica=replica)).identity_token) for replica in range(2)]
        return kid(before) not in signed

    await until(has_changed)
    assert await house.authorize(before), "renewed under the new key"
    keys = store.AuthStore(house.engine)
    await keys.drop_signing_keys()
    assert {key.kid for key in await keys.signing_keys()} >= {kid(before)}
    await house.rows("UPDATE signing_keys SET signs_from = signs_from - interval '3 hours'")
    await keys.drop_signing_keys()
    assert kid(before) not in {key.kid for key in await keys.signing_keys()}
    assert len(await keys.signing_keys()) == 1, "the one that signs is never dropped"

    async def is_refused() -> bool:
        try:
            await house.authorize(before)
        except Unauthenticated:
            return True
        return False

    await until(is_refused)


async def test_private_keys_lie_sealed(house: House) -> None:
    await house.call("RotateSigningKey")
    rows = await house.rows("SELECT public_key, sealed_private_key FROM signing_keys")
    assert len(rows) == 2
    assert all(len(row.sealed_private_key) == 12 + 32 + 16 for row in rows), "nonce, key and tag"
