"""When an access key is made, kept and replaced; from hashes alone, whatever the clock does."""

import base64
import copy
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes_kit.tenant_documents import as_stored, rich_document, workspace_of

from pyairtable_operator import access_keys, compare, constants
from pyairtable_operator.access_keys import Decision, KeyAction, KeyRecord
from pyairtable_operator.manifests import TenantConfig
from pyairtable_operator.spec import Workspace
from pyairtable_operator.times import show_time

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CONFIG = TenantConfig()
DAY = timedelta(days=1)
NOTES = "annotations"


@dataclass
class Tenant:
    """A workspace with its Secret: does what the operator does with decisions, and loses what a crash would lose."""

    document: dict[str, Any] = field(default_factory=rich_document)
    secret: dict[str, Any] | None = None
    keys: list[str] = field(default_factory=list)
    record: KeyRecord | None = None

    @property
    def workspace(self) -> Workspace:
        return workspace_of(self.document)

    def decide(self, now: datetime) -> Decision:
        kept = compare.essence(self.secret) if self.secret is not None else None
        return access_keys.decide(kept, self.workspace, CONFIG, now)

    def step(self, now: datetime, *, server_now: datetime | None = None, crash: bool = False) -> Decision:
        """One pass; `crash`: it ends after the Secret was written."""
        decision = self.decide(now)
        written_at = show_time(server_now or now)
        if decision.action in (KeyAction.CREATE, KeyAction.ROTATE):
            made = access_keys.new_key(bytes([len(self.keys) + 1]) * access_keys.RANDOM_BYTES)
            self.keys.append(made.key)
            record = access_keys.new_record(made, decision, self.workspace, now)
            self._write(made.key, record, written_at)
        elif decision.action is KeyAction.REPAIR:
            assert decision.record is not None
            assert self.secret is not None
            record = decision.record
            key = access_keys.held_key(self.secret, record)
            assert key is not None
            self._write(key, record, written_at)
        else:
            assert decision.record is not None
            record = decision.record
        self.record = record
        if not crash:
            self.document["status"] = {"accessKey": access_keys.status_of(record, now)}
        return decision

    def _write(self, key: str, record: KeyRecord, written_at: str) -> None:
        manifest = access_keys.secret_manifest(self.workspace, key, record, CONFIG)
        self.secret = as_stored(manifest, written_at=written_at)

    def put_key(self, value: str) -> None:
        assert self.secret is not None
        self.secret["data"][constants.KEY_DATA] = base64.b64encode(value.encode()).decode()

    def note(self, name: str, value: str | None) -> None:
        assert self.secret is not None
        notes = self.secret["metadata"]["annotations"]
        notes.pop(name, None)
        if value is not None:
            notes[name] = value


@pytest.fixture
def tenant() -> Tenant:
    """With a key."""
    made = Tenant()
    assert made.step(NOW).action is KeyAction.CREATE
    return made


def test_a_key_is_of_the_documented_form() -> None:
    made = access_keys.new_key(bytes(range(48)))
    assert re.fullmatch(r"pya_[a-z0-9]{12}_[A-Za-z0-9_-]{43}", made.key)
    assert made.key.split("_")[1] == made.key_id
    assert made.key not in repr(made)
    assert access_keys.material(made.key) == made
    with pytest.raises(ValueError, match="48 random bytes"):
        access_keys.new_key(b"short")


@given(st.binary(min_size=48, max_size=48), st.binary(min_size=48, max_size=48))
def test_other_random_bytes_are_another_key(one: bytes, other: bytes) -> None:
    assert (access_keys.new_key(one).key == access_keys.new_key(other).key) == (
        one[16:] == other[16:] and access_keys.new_key(one).key_id == access_keys.new_key(other).key_id
    )


def test_the_second_pass_writes_nothing(tenant: Tenant) -> None:
    decision = tenant.step(NOW + DAY)
    assert decision.action is KeyAction.KEEP
    assert decision.next_at == NOW + 90 * DAY
    assert len(tenant.keys) == 1


def test_a_crash_before_the_status_makes_no_second_key() -> None:
    tenant = Tenant()
    tenant.step(NOW, crash=True)
    assert tenant.step(NOW).action is KeyAction.KEEP
    tenant.document["metadata"]["annotations"] = {constants.ROTATE_ANNOTATION: "1"}
    assert tenant.step(NOW, crash=True).action is KeyAction.ROTATE
    # Even when a further rotation is due, the status is written first.
    tenant.document["metadata"]["annotations"] = {constants.ROTATE_ANNOTATION: "2"}
    decision = tenant.step(NOW)
    assert decision.action is KeyAction.KEEP
    assert decision.next_at == NOW
    assert tenant.step(NOW).action is KeyAction.ROTATE
    assert len(tenant.keys) == 3


def test_each_value_of_the_annotation_rotates_once(tenant: Tenant) -> None:
    for value in ("1", "2", "2", "", "2"):
        tenant.document["metadata"]["annotations"] = {constants.ROTATE_ANNOTATION: value}
        tenant.step(NOW + DAY)
        tenant.step(NOW + DAY)
    assert len(tenant.keys) == 3


def test_a_key_made_while_the_annotation_stands_there_honours_it() -> None:
    tenant = Tenant()
    tenant.document["metadata"]["annotations"] = {constants.ROTATE_ANNOTATION: "1"}
    tenant.step(NOW)
    assert tenant.step(NOW).action is KeyAction.KEEP


def test_both_keys_are_declared_until_the_overlap_ends(tenant: Tenant) -> None:
    first = access_keys.material(tenant.keys[0])
    later = NOW + 90 * DAY
    assert tenant.step(later).reason == "the key is older than 7776000 s"
    assert tenant.record is not None
    both = access_keys.declared(tenant.record, later)
    assert [key.key_id for key in both] == [access_keys.material(tenant.keys[1]).key_id, first.key_id]
    assert both[1].expires_at == later + DAY
    assert both[1].sha256 == first.sha256
    assert tenant.document["status"]["accessKey"]["previousExpiresAt"] == show_time(later + DAY)
    assert tenant.step(later).next_at == later + DAY

    assert tenant.step(later + DAY).action is KeyAction.KEEP
    assert len(access_keys.declared(tenant.record, later + DAY)) == 1
    assert "previousExpiresAt" not in tenant.document["status"]["accessKey"]


def test_only_the_key_just_before_goes_on(tenant: Tenant) -> None:
    for value in ("1", "2"):
        tenant.document["metadata"]["annotations"] = {constants.ROTATE_ANNOTATION: value}
        tenant.step(NOW)
    assert tenant.record is not None
    declared = [key.key_id for key in access_keys.declared(tenant.record, NOW)]
    assert declared == [access_keys.material(key).key_id for key in (tenant.keys[2], tenant.keys[1])]


def test_without_overlap_and_without_a_schedule() -> None:
    tenant = Tenant()
    tenant.document["spec"]["accessKey"] = {"rotateAfterSeconds": 0, "overlapSeconds": 0}
    tenant.step(NOW)
    assert tenant.step(NOW + 10_000 * DAY).next_at is None
    tenant.document["metadata"]["annotations"] = {constants.ROTATE_ANNOTATION: "1"}
    tenant.step(NOW)
    assert tenant.record is not None
    assert len(access_keys.declared(tenant.record, NOW)) == 1


OTHER = access_keys.new_key(b"x" * 48)


@pytest.mark.parametrize(
    ("tamper", "trusted"),
    [
        (lambda tenant: tenant.put_key(OTHER.key), True),
        (lambda tenant: tenant.put_key("not a key"), True),
        (lambda tenant: tenant.put_key(""), True),
        (lambda tenant: tenant.put_key(tenant.keys[0] + "\n"), True),
        (lambda tenant: tenant.secret["data"].pop(constants.KEY_DATA), True),
        (lambda tenant: tenant.secret.pop("data"), True),
        (lambda tenant: tenant.note(constants.KEY_ID_ANNOTATION, None), False),
        (lambda tenant: tenant.note(constants.KEY_ID_ANNOTATION, "aaaaaaaaaaaa"), False),
        (lambda tenant: tenant.note(constants.KEY_HASH_ANNOTATION, "0" * 64), False),
        (lambda tenant: tenant.note(constants.ROTATED_AT_ANNOTATION, "yesterday"), False),
        (lambda tenant: tenant.note(constants.OWNER_UID_ANNOTATION, "another-uid"), False),
    ],
)
def test_a_key_that_was_tampered_with_is_replaced(tenant: Tenant, tamper: Any, trusted: bool) -> None:
    genuine = access_keys.material(tenant.keys[0])
    tamper(tenant)
    decision = tenant.step(NOW + DAY)
    assert decision.action is KeyAction.ROTATE
    assert decision.reason
    assert tenant.record is not None
    declared = access_keys.declared(tenant.record, NOW + DAY)
    # The genuine key goes on for the overlap where its whole hash is still known; nothing else does.
    assert [key.key_id for key in declared[1:]] == ([genuine.key_id] if trusted else [])
    assert OTHER.key_id not in {key.key_id for key in declared}
    assert tenant.step(NOW + DAY).action is KeyAction.KEEP


def test_a_forged_key_with_fitting_notes_is_replaced(tenant: Tenant) -> None:
    tenant.put_key(OTHER.key)
    tenant.note(constants.KEY_ID_ANNOTATION, OTHER.key_id)
    tenant.note(constants.KEY_HASH_ANNOTATION, OTHER.sha256)
    assert "not the one issued last" in tenant.decide(NOW).reason


@pytest.mark.parametrize("name", [constants.KEY_ID_ANNOTATION, constants.KEY_HASH_ANNOTATION])
def test_notes_that_do_not_fit_the_key_are_seen_without_a_status_too(name: str) -> None:
    tenant = Tenant()
    tenant.step(NOW, crash=True)
    tenant.note(name, "a" * (12 if name == constants.KEY_ID_ANNOTATION else 64))
    assert tenant.decide(NOW).action is KeyAction.ROTATE
    assert tenant.decide(NOW).previous is None


def test_a_key_from_a_backup_does_not_come_back(tenant: Tenant) -> None:
    backup = copy.deepcopy(tenant.secret)
    tenant.document["metadata"]["annotations"] = {constants.ROTATE_ANNOTATION: "leaked"}
    tenant.step(NOW)
    tenant.secret = backup
    decision = tenant.step(NOW)
    assert decision.action is KeyAction.ROTATE
    assert tenant.record is not None
    assert [key.key_id for key in access_keys.declared(tenant.record, NOW)] == [
        access_keys.material(tenant.keys[2]).key_id
    ]


def test_a_replacement_that_crashed_is_kept(tenant: Tenant) -> None:
    tenant.note(constants.KEY_HASH_ANNOTATION, "0" * 64)
    tenant.step(NOW, crash=True)
    assert tenant.step(NOW).action is KeyAction.KEEP
    assert len(tenant.keys) == 2


def test_a_deleted_secret_is_made_anew_with_another_key(tenant: Tenant) -> None:
    tenant.secret = None
    assert tenant.step(NOW, crash=True).action is KeyAction.CREATE
    assert tenant.step(NOW).action is KeyAction.KEEP
    assert len(tenant.keys) == 2


def test_a_terminating_secret_is_waited_for(tenant: Tenant) -> None:
    assert tenant.secret is not None
    tenant.secret["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert tenant.decide(NOW).action is KeyAction.WAIT


@pytest.mark.parametrize(
    ("tamper", "field_name"),
    [
        (lambda secret: secret["data"].update(PYAIRTABLE_REST_URL="eA=="), "data.PYAIRTABLE_REST_URL"),
        (lambda secret: secret["metadata"]["labels"].clear(), "metadata.labels[pyairtable.dev/workspace]"),
        (
            lambda secret: secret["metadata"]["annotations"].pop(constants.OWNER_UID_ANNOTATION),
            "metadata.annotations[pyairtable.dev/workspace-uid]",
        ),
    ],
)
def test_the_rest_of_the_secret_is_repaired_around_its_key(tenant: Tenant, tamper: Any, field_name: str) -> None:
    tamper(tenant.secret)
    decision = tenant.step(NOW)
    assert decision.action is KeyAction.REPAIR
    assert field_name in decision.fields
    assert not decision.new_object
    assert tenant.step(NOW).action is KeyAction.KEEP
    assert len(tenant.keys) == 1


@pytest.mark.parametrize("tamper", [{"immutable": True}, {"type": "kubernetes.io/tls"}])
def test_a_secret_that_cannot_change_is_made_anew(tenant: Tenant, tamper: dict[str, Any]) -> None:
    assert tenant.secret is not None
    tenant.secret |= tamper
    decision = tenant.decide(NOW)
    assert (decision.action, decision.new_object, decision.uid) == (KeyAction.REPAIR, True, "object-uid")
    tenant.document["metadata"]["annotations"] = {constants.ROTATE_ANNOTATION: "1"}
    decision = tenant.decide(NOW)
    assert (decision.action, decision.new_object) == (KeyAction.ROTATE, True)


def test_a_secret_of_somebody_else_is_taken_over_without_its_key() -> None:
    tenant = Tenant()
    foreign = access_keys.secret_manifest(
        workspace_of(rich_document("other")), OTHER.key, KeyRecord(OTHER.key_id, OTHER.sha256, NOW, ""), CONFIG
    )
    tenant.secret = as_stored(foreign)
    tenant.note(constants.OWNER_UID_ANNOTATION, None)
    assert tenant.step(NOW).action is KeyAction.ROTATE
    assert tenant.record is not None
    assert [key.key_id for key in access_keys.declared(tenant.record, NOW)] != [OTHER.key_id]


def test_nothing_of_a_key_is_in_a_decision(tenant: Tenant) -> None:
    secret_part = tenant.keys[0].split("_", 2)[2]
    assert secret_part not in repr(tenant.decide(NOW + 91 * DAY))
    assert secret_part not in str(tenant.document["status"])
    assert tenant.secret is not None
    assert secret_part not in compare.essence(tenant.secret).decode()
    assert secret_part not in str(tenant.secret["metadata"])


@pytest.mark.parametrize("jump", [-1000 * DAY, -DAY, DAY, 1000 * DAY])
def test_a_clock_that_jumps_and_comes_back_rotates_at_most_once(tenant: Tenant, jump: timedelta) -> None:
    for minute in range(3):
        tenant.step(NOW + jump + timedelta(minutes=minute), server_now=NOW + timedelta(minutes=minute))
    expected = 2 if jump >= 90 * DAY else 1
    assert len(tenant.keys) == expected
    for day in range(90):
        tenant.step(NOW + day * DAY)
        assert len(tenant.keys) == expected, day
    tenant.step(NOW + 91 * DAY)
    assert len(tenant.keys) == expected + 1


def test_a_clock_far_ahead_does_not_lengthen_the_overlap(tenant: Tenant) -> None:
    tenant.step(NOW + 1000 * DAY, server_now=NOW)
    tenant.step(NOW + timedelta(hours=1))
    assert tenant.record is not None
    assert access_keys.declared(tenant.record, NOW + timedelta(hours=1))[1].expires_at == NOW + DAY
    assert len(access_keys.declared(tenant.record, NOW + 2 * DAY)) == 1


moments = st.lists(
    st.tuples(st.integers(0, 200), st.booleans(), st.sampled_from(["", "1", "2", "3"])), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(moments)
def test_with_crashes_anywhere_keys_are_made_only_when_due(passes: list[tuple[int, bool, str]]) -> None:
    tenant, now = Tenant(), NOW
    for days, crash, request in passes:
        now += days * DAY
        tenant.document["metadata"]["annotations"] = {constants.ROTATE_ANNOTATION: request} if request else {}
        before, known = len(tenant.keys), tenant.record
        decision = tenant.step(now, crash=crash)
        if len(tenant.keys) == before:
            continue
        assert known is None or now - known.rotated_at >= 90 * DAY or request not in ("", known.honoured_request)
        assert decision.action is (KeyAction.CREATE if known is None else KeyAction.ROTATE)
    assert tenant.step(now).action in (KeyAction.KEEP, KeyAction.ROTATE)
    tenant.step(now)
    assert tenant.step(now).action is KeyAction.KEEP
