"""Source Secrets: opt-in, verification before use, rotation, revocation; and that no content of one ever shows."""

from __future__ import annotations

import base64

import grpc
import pytest
from kubernetes_kit.operator_process import OperatorProcess
from kubernetes_kit.platform_double import PlatformDouble
from kubernetes_kit.tenant import MakeTenant, Tenant, version_of
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.control_plane import ControlPlane


@pytest.fixture(scope="module")
def operator_env() -> dict[str, str]:
    """Verifies often, so that what changes at Airtable is noticed within the test."""
    return {"VERIFY_INTERVAL_SECONDS": "1", "RESYNC_SECONDS": "2"}


def test_a_missing_secret_is_named_with_the_way_to_opt_in_and_used_once_it_is_there(
    make_tenant: MakeTenant, platform: PlatformDouble
) -> None:
    tenant = make_tenant()
    tenant.create()
    message = tenant.wait("CredentialsValid", "False", "SecretNotUsable")["message"]
    assert tenant.secret in message and f"pyairtable.dev/workspace={tenant.name}" in message
    assert tenant.condition("Ready")["status"] == "False"
    version = tenant.put_token("patEmulator.not-a-real-token")
    tenant.wait()
    assert platform.state.registry[tenant.name].airtable_token.version == version


@pytest.mark.parametrize(
    ("opted_in", "value", "key", "reason"),
    [
        (None, "patEmulator.not-a-real-token", "token", "SecretNotUsable"),
        ("somebody-else", "patEmulator.not-a-real-token", "token", "SecretForAnotherWorkspace"),
        ("", "", "token", "SecretEmpty"),
        ("", "patEmulator.not-a-real-token", "other", "SecretNotUsable"),
    ],
)
def test_a_secret_that_is_not_meant_is_never_asked_about(
    make_tenant: MakeTenant, platform: PlatformDouble, opted_in: str | None, value: str, key: str, reason: str
) -> None:
    tenant = make_tenant()
    tenant.put_token(value, opted_in=opted_in, key=key)
    tenant.create()
    tenant.wait("CredentialsValid", "False", reason)
    assert not [asked for asked in platform.state.verified if asked.workspace == tenant.name]
    assert not platform.state.registry[tenant.name].HasField("airtable_token")


def test_a_rotated_token_is_verified_before_it_is_used(tenant: Tenant, platform: PlatformDouble) -> None:
    tenant.create()
    tenant.wait()
    old = tenant.status()["credential"]["hash"]
    new = tenant.put_token("patEmulator.the-next-token")
    tenant.until(lambda: tenant.status()["credential"]["hash"] == new, "the new token in the status")
    assert new != old
    assert platform.state.registry[tenant.name].airtable_token.version == new
    asked = [request.credential.version for request in platform.state.verified if request.workspace == tenant.name]
    assert asked.index(new) > asked.index(old)


def test_a_refused_rotation_leaves_the_old_token_in_use(tenant: Tenant, platform: PlatformDouble) -> None:
    tenant.create()
    tenant.wait()
    old = tenant.status()["credential"]["hash"]
    platform.state.bad_versions[version_of("patEmulator.refused")] = "AIRTABLE_TOKEN_REJECTED"
    tenant.put_token("patEmulator.refused")
    tenant.wait("CredentialsValid", "False", "RotationRejected")
    assert tenant.condition("Ready")["status"] == "True"
    assert platform.state.registry[tenant.name].airtable_token.version == old
    good = tenant.put_token("patEmulator.good-after-all")
    tenant.wait("CredentialsValid", "True", "Verified")
    assert platform.state.registry[tenant.name].airtable_token.version == good


def test_a_revoked_token_is_noticed_and_said(tenant: Tenant, platform: PlatformDouble) -> None:
    tenant.create()
    tenant.wait()
    version = tenant.put_token("patEmulator.soon-revoked")
    tenant.until(lambda: tenant.status()["credential"]["hash"] == version, "the token in use")
    platform.state.bad_versions[version] = "AIRTABLE_TOKEN_REJECTED"
    tenant.wait("CredentialsValid", "False", "TokenRejected")
    tenant.wait("Ready", "False", "TokenRejected")
    # It stays declared, so that callers hear that Airtable refuses it, and not that there is none.
    assert platform.state.registry[tenant.name].airtable_token.version == version
    platform.state.bad_versions.clear()
    tenant.wait()


def test_airtable_away_changes_nothing_for_a_workspace_that_was_verified(
    tenant: Tenant, platform: PlatformDouble
) -> None:
    tenant.create()
    tenant.wait()
    asked = platform.state.calls["VerifyBindings"]
    platform.fail(grpc.StatusCode.UNAVAILABLE, "AIRTABLE_UNAVAILABLE", "airtable")
    tenant.until(lambda: platform.state.calls["VerifyBindings"] > asked + 1, "further verifications")
    assert tenant.condition("Ready")["status"] == "True"
    platform.heal()


def test_airtable_away_at_the_start_is_said_and_gets_over(make_tenant: MakeTenant, platform: PlatformDouble) -> None:
    platform.fail(grpc.StatusCode.UNAVAILABLE, "AIRTABLE_UNAVAILABLE", "airtable")
    tenant = make_tenant()
    tenant.put_token("patEmulator.asked-in-vain")
    tenant.create()
    tenant.wait("CredentialsValid", "Unknown", "AirtableUnavailable")
    assert tenant.key(), "the access key does not wait for Airtable"
    platform.heal()
    tenant.wait()


CANARY = "patEmulatorCanary.must-never-show"


def test_no_secret_shows_anywhere(
    make_tenant: MakeTenant, cluster: ControlPlane, operator: OperatorProcess, platform: PlatformDouble
) -> None:
    """Greps all that etcd holds but Secrets, and the log, for the tokens and the access keys."""
    tenant = make_tenant()
    tenant.put_token(CANARY)
    tenant.create()
    tenant.wait()
    first = tenant.key()
    tenant.annotate(rotate_access_key="1")
    eventually(lambda: tenant.key() != first, what="a new key")
    platform.state.bad_versions[version_of(CANARY + "2")] = "AIRTABLE_TOKEN_REJECTED"
    tenant.put_token(CANARY + "2")
    tenant.wait("CredentialsValid", "False", "RotationRejected")
    hidden = (CANARY, first, tenant.key(), first.rpartition("_")[2])
    for text in hidden:
        assert text not in operator.logs()
        for place, value in cluster.etcd_items():
            if not place.startswith("/registry/secrets/"):
                assert text.encode() not in value, f"{text[:8]}... stands in {place}"
                assert base64.b64encode(text.encode())[:16] not in value, f"{text[:8]}... stands in {place}, encoded"
