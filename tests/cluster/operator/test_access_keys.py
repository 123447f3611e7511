"""The access key: rotated on request and on schedule with an overlap, replaced when lost, never made twice."""

from __future__ import annotations

import base64

import grpc
import pytest
from kubernetes_kit.platform_double import PlatformDouble
from kubernetes_kit.tenant import Tenant
from kubernetes_kit.tenants import sha256


def _hashes(platform: PlatformDouble, tenant: Tenant) -> dict[str, bool]:
    """Hashes of the keys that work, and whether they expire."""
    return {key.sha256: key.HasField("expires_at") for key in platform.state.keys[tenant.name].values()}


def test_a_rotation_on_request_leaves_the_old_key_working_for_the_overlap(
    tenant: Tenant, platform: PlatformDouble
) -> None:
    tenant.create()
    tenant.wait()
    old = tenant.key()
    tenant.annotate(rotate_access_key="2026-11-22")
    tenant.until(lambda: tenant.key() != old, "a new key")
    new = tenant.key()
    tenant.wait("AccessKeyIssued", "True", "Rotating")
    tenant.until(lambda: _hashes(platform, tenant) == {sha256(new): False, sha256(old): True}, "both keys declared")
    assert tenant.status()["accessKey"]["previousExpiresAt"]
    tenant.annotate(something="else")
    tenant.wait()
    assert tenant.key() == new, "the same request rotates once"


def test_a_rotation_without_overlap_ends_the_old_key_at_once(tenant: Tenant, platform: PlatformDouble) -> None:
    tenant.create(accessKey={"overlapSeconds": 0})
    tenant.wait()
    old = tenant.key()
    tenant.annotate(rotate_access_key="now")
    tenant.until(lambda: tenant.key() != old, "a new key")
    tenant.until(lambda: _hashes(platform, tenant) == {sha256(tenant.key()): False}, "only the new key")


def test_a_rotation_on_schedule_and_the_end_of_the_overlap(tenant: Tenant, platform: PlatformDouble) -> None:
    tenant.create(accessKey={"rotateAfterSeconds": 2, "overlapSeconds": 1})
    tenant.wait()
    first = tenant.key()
    tenant.until(lambda: tenant.key() != first, "a new key")
    tenant.change(accessKey={"rotateAfterSeconds": 0})
    tenant.until(lambda: len(platform.state.keys[tenant.name]) == 1, "the end of the overlap")
    assert sha256(first) not in _hashes(platform, tenant)


@pytest.mark.parametrize("how", ["deleted", "emptied", "forged"])
def test_a_lost_or_forged_key_is_replaced(tenant: Tenant, platform: PlatformDouble, how: str) -> None:
    tenant.create()
    tenant.wait()
    old = tenant.key()
    forged = "pya_aaaaaaaaaaaa_" + "A" * 43
    if how == "deleted":
        tenant.remove("Secret", "pyairtable-access")
    else:
        value = base64.b64encode(forged.encode()).decode() if how == "forged" else None
        tenant.edit("Secret", "pyairtable-access", {"data": {"PYAIRTABLE_API_KEY": value}})
    tenant.until(lambda: tenant.key() not in ("", old, forged), "a new key")
    tenant.until(lambda: sha256(tenant.key()) in _hashes(platform, tenant), "the new key declared")
    assert sha256(forged) not in _hashes(platform, tenant)


def test_what_else_stands_in_the_secret_is_mended_around_the_same_key(tenant: Tenant) -> None:
    tenant.create()
    tenant.wait()
    key = tenant.key()
    evil = base64.b64encode(b"http://evil.example").decode()
    tenant.edit("Secret", "pyairtable-access", {"data": {"PYAIRTABLE_REST_URL": evil}})
    tenant.until(
        lambda: tenant.get("Secret", "pyairtable-access")["data"]["PYAIRTABLE_REST_URL"] != evil, "the address"
    )
    assert tenant.key() == key


def test_the_auth_service_away_is_said_and_the_same_key_is_declared_later(
    tenant: Tenant, platform: PlatformDouble
) -> None:
    platform.fail(grpc.StatusCode.UNAVAILABLE, "", "auth")
    tenant.create()
    tenant.wait("AccessKeyIssued", "False", "PlatformUnavailable")
    key = tenant.key()
    platform.heal()
    tenant.wait()
    assert tenant.key() == key and list(_hashes(platform, tenant)) == [sha256(key)]
