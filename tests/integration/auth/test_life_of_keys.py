"""Access keys from their creation to their end, as callers at the doors see it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from integration.auth.conftest import API_KEY, Platform, bearer, until

from pyairtable_platform.common.errors import Unauthenticated
from pyairtable_platform.common.values import to_timestamp
from pyairtable_protos.auth.v1 import auth_service_pb2 as rpc

pytestmark = pytest.mark.asyncio(loop_scope="module")


def key_id(key: str) -> str:
    return key.split("_")[1]


async def authorized(platform: Platform, key: str) -> bool:
    """What auth says of a key now, without anybody's cache."""
    try:
        await platform.auth("Authorize", rpc.AuthorizeRequest(credential=key))
    except Unauthenticated:
        return False
    return True


async def opens(platform: Platform, key: str, service: str = "api-gateway", path: str = "/api/bases") -> bool:
    return (await platform.get(service, path, key)).status_code == 200


async def test_a_revoked_key_is_refused(platform: Platform) -> None:
    key = await platform.key_for("acme")
    await platform.auth("RevokeAccessKey", rpc.RevokeAccessKeyRequest(key_id=key_id(key), workspace="acme"))
    answer = await platform.get("api-gateway", "/api/bases", key)
    assert answer.status_code == 401
    assert "was revoked" in answer.json()["detail"]
    assert not await opens(platform, key, "airtable-gateway", "/bases")


async def test_a_key_ends_when_it_was_told_to(platform: Platform) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=2)
    key = await platform.key_for("acme", expires_at=to_timestamp(soon))
    answer = await platform.auth("Authorize", rpc.AuthorizeRequest(credential=key))
    assert answer.expires_at.ToDatetime(UTC) <= soon
    assert await opens(platform, key)
    await until(lambda: _not(opens(platform, key)))  # although the door remembers it
    assert datetime.now(UTC) >= soon - timedelta(seconds=1)


async def _not(asked: object) -> bool:
    return not await asked  # type: ignore[misc]


async def test_while_keys_overlap_both_work_and_then_only_the_new_one(platform: Platform) -> None:
    old = await platform.key_for("acme", name="app")
    request = rpc.RotateAccessKeyRequest(key_id=key_id(old), workspace="acme", overlap_seconds=3)
    rotated = await platform.auth("RotateAccessKey", request)
    assert rotated.access_key.name == "app"
    assert await authorized(platform, old)
    assert await authorized(platform, rotated.key)
    await until(lambda: _not(authorized(platform, old)))
    assert await authorized(platform, rotated.key)
    listed = await platform.auth("ListAccessKeys", rpc.ListAccessKeysRequest(workspace="acme", page_size=2))
    assert listed.access_keys[0].key_id == rotated.access_key.key_id


@pytest.mark.parametrize("service", ["api-gateway", "airtable-gateway", "llm-orchestrator"])
async def test_suspension_cuts_access_within_a_second_also_of_remembered_keys(platform: Platform, service: str) -> None:
    name = f"cut-{service}"
    paths = {"api-gateway": ["/api/sessions", "/api/usage", "/api/workspaces"], "airtable-gateway": ["/usage"]}
    await platform.declare(name)
    await until(lambda: _known(platform, name))
    key = await platform.key_for(name)
    for path in paths.get(service, ["/sessions"]):
        assert await opens(platform, key, service, path), path
    await platform.declare(name, generation=2, suspended=True)
    began = time.monotonic()
    for path in paths.get(service, ["/sessions"]):
        await until(lambda path=path: _not(opens(platform, key, service, path)))
        answer = await platform.get(service, path, key)
        assert (answer.status_code, answer.json()["reason"]) == (403, "WORKSPACE_SUSPENDED"), path
    print(f"refused after {time.monotonic() - began:.3f} s")
    await platform.declare(name, generation=3)
    await until(lambda: opens(platform, key, service, paths.get(service, ["/sessions"])[0]))


async def _known(platform: Platform, name: str) -> bool:
    """Whether every service that follows the registry has heard of a workspace."""
    asked = [
        ("airtable-gateway", "/usage"),
        ("llm-orchestrator", "/sessions"),
    ]
    for service, path in asked:
        answer = await platform.http.get(
            f"{platform.url(service)}{path}", params={"workspace": name}, headers={"x-api-key": API_KEY}
        )
        if answer.status_code != 200:
            return False
    return True


async def test_a_removed_workspace_is_refused_and_its_keys_do_not_open_its_successor(platform: Platform) -> None:
    await platform.declare("gone")
    await until(lambda: _known(platform, "gone"))
    key = await platform.key_for("gone")
    assert await opens(platform, key, path="/api/usage")
    await platform.remove("gone")
    await until(lambda: _not(opens(platform, key, path="/api/usage")))
    await platform.declare("gone", uid="uid-2")
    await until(lambda: _known(platform, "gone"))
    await until(lambda: _not(authorized(platform, key)))


async def test_declared_keys_open_doors_like_others(platform: Platform) -> None:
    key = f"pya_operator0001_{'k' * 43}"
    declared = rpc.DeclaredAccessKey(key_id="operator0001", sha256=hashlib.sha256(key.encode()).hexdigest())
    assert (
        await platform.auth("ApplyAccessKeys", rpc.ApplyAccessKeysRequest(workspace="beta", keys=[declared]))
    ).changed
    assert await opens(platform, key)
    assert (await platform.auth("ApplyAccessKeys", rpc.ApplyAccessKeysRequest(workspace="beta"))).changed
    assert not await authorized(platform, key)


async def test_an_identity_token_is_renewed_while_its_key_works(platform: Platform) -> None:
    key = await platform.key_for("acme")
    token = await platform.identity_token(key)
    assert await platform.identity_token(token)
    await platform.auth("RevokeAccessKey", rpc.RevokeAccessKeyRequest(key_id=key_id(key), workspace="acme"))
    assert not await authorized(platform, token)


async def test_while_auth_is_away_what_is_remembered_goes_on(platform: Platform) -> None:
    """In a system of its own would be better; here the auth service only refuses to answer its callers."""
    known = await platform.key_for("acme")
    assert await opens(platform, known)
    unknown = await platform.key_for("acme")
    async with asyncio.timeout(60):
        await platform.stop("auth")
        assert await opens(platform, known)
        answer = await platform.get("api-gateway", "/api/bases", unknown)
        assert answer.status_code == 503
        assert answer.json()["metadata"] == {"dependency": "auth"}
        assert (
            await platform.http.get(
                f"{platform.url('api-gateway')}/api/bases?workspace=acme", headers={"x-api-key": API_KEY}
            )
        ).status_code == 200
        assert (
            await platform.http.get(f"{platform.url('api-gateway')}/api/bases", headers=bearer("x.y.z"))
        ).status_code == 401
