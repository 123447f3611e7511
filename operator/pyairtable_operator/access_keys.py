"""The tenant's access key: when one is made, kept or replaced, judged by hashes alone.

The Secret is the truth: it is written first, then the platform is told the hashes. So a key is never made because the
platform or the status has not heard of the one there is. The status only says which key was ours, so that a key that
somebody put there, or brought back from a backup, is not taken for one.
"""

from __future__ import annotations

import base64
import hashlib
import string
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson

from pyairtable_operator import compare, constants
from pyairtable_operator.compare import Observed
from pyairtable_operator.manifests.manifest import Manifest, TenantConfig
from pyairtable_operator.manifests.secret import access_secret
from pyairtable_operator.spec import Workspace
from pyairtable_operator.times import parse_time, show_time

RANDOM_BYTES = 48
"""What new_key needs: 16 for the id, 32 for the secret part."""

_CLOCK_SKEW = timedelta(minutes=5)
_DIGITS = string.ascii_lowercase + string.digits


class KeyAction(StrEnum):
    """What to do with the access Secret."""

    KEEP = "Keep"
    """Write nothing."""
    REPAIR = "Repair"
    """Write it again around the same key: something else in it is not as it should be."""
    CREATE = "Create"
    """Make a key; there is no Secret."""
    ROTATE = "Rotate"
    """Make a new key."""
    WAIT = "Wait"
    """The Secret is being deleted; come back when it is gone."""


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A key. Only the Secret may hold it."""

    key: str = field(repr=False)
    key_id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PreviousKey:
    """The key before. `sha256` is empty when it must not work any more and is only remembered as replaced."""

    key_id: str
    sha256: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What the Secret says of its key."""

    key_id: str
    sha256: str
    rotated_at: datetime
    honoured_request: str
    previous: PreviousKey | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`record` is of the key there is (Keep, Repair); `previous` and `reason` belong to a new one."""

    action: KeyAction
    reason: str = ""
    """In words, for Event and log; empty for Keep."""
    record: KeyRecord | None = None
    previous: PreviousKey | None = None
    replaces: bool = False
    """The key that there was is gone or cannot be trusted, for Create and Rotate."""
    fields: tuple[str, ...] = ()
    """What differs, for Repair."""
    new_object: bool = False
    """The Secret cannot be changed in place (immutable, another type): delete it with `uid`, then create."""
    uid: str = ""
    next_at: datetime | None = None
    """When to decide again, if nothing happens before."""


@dataclass(frozen=True, slots=True)
class DeclaredKey:
    """For AuthService.ApplyAccessKeys; the current key does not expire."""

    key_id: str
    sha256: str
    expires_at: datetime | None = None


def new_key(random: bytes) -> KeyMaterial:
    """A key from RANDOM_BYTES random bytes: pya_<12 letters or digits>_<43 of base64url>."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"an access key takes {RANDOM_BYTES} random bytes, not {len(random)}")
    number = int.from_bytes(random[:16], "big")
    digits = [_DIGITS[number // len(_DIGITS) ** place % len(_DIGITS)] for place in range(12)]
    key_id = "".join(digits)
    secret = base64.urlsafe_b64encode(random[16:]).decode().rstrip("=")
    return material(f"pya_{key_id}_{secret}")


def material(key: str) -> KeyMaterial:
    """Of a key that was read from the Secret."""
    return KeyMaterial(key, key.split("_", 2)[1], hashlib.sha256(key.encode()).hexdigest())


def decide(kept: bytes | None, workspace: Workspace, config: TenantConfig, now: datetime) -> Decision:
    """`kept`: essence of the Secret, None when there is none. All replicas decide alike: it depends on nothing else."""
    if kept is None:
        lost = _remembered(workspace, now)
        reason = "the access Secret was deleted" if lost else "there is no access key yet"
        return Decision(KeyAction.CREATE, reason, previous=lost, replaces=lost is not None)
    observed = compare.read(kept)
    if observed.terminating:
        return Decision(KeyAction.WAIT, "the Secret is being deleted", uid=observed.uid)
    record, fault = _examine(observed, workspace)
    if record is None or fault:
        previous = _still_trusted(record, workspace, now) or _remembered(workspace, now)
        return replace(_rotation(fault, previous, observed, workspace, config), replaces=True)
    if not _status_has(workspace, record):
        # A rotation that the status has not heard of yet: no second one before it has.
        return _kept(record, observed, workspace, config, next_at=now)
    if due := _why_due(record, observed, workspace, now):
        # Whole seconds, as the Secret will show it: else the platform would be told the same once more.
        expires = now.replace(microsecond=0) + timedelta(seconds=workspace.spec.access_key.overlap_seconds)
        return _rotation(due, PreviousKey(record.key_id, record.sha256, expires), observed, workspace, config)
    return _kept(record, observed, workspace, config, next_at=_next_at(record, observed, workspace, now))


def new_record(made: KeyMaterial, decision: Decision, workspace: Workspace, now: datetime) -> KeyRecord:
    """Of a key that was made for a Create or Rotate."""
    rotated_at = now.replace(microsecond=0)
    return KeyRecord(made.key_id, made.sha256, rotated_at, workspace.rotation_request, decision.previous)


def held_key(secret: Mapping[str, Any], record: KeyRecord) -> str | None:
    """The key in a Secret that was read for a Repair; None when it is not (any more) the one of the record."""
    encoded = (secret.get("data") or {}).get(constants.KEY_DATA, "")
    key = base64.b64decode(encoded)
    return key.decode() if hashlib.sha256(key).hexdigest() == record.sha256 else None


def secret_manifest(workspace: Workspace, key: str | None, record: KeyRecord, config: TenantConfig) -> Manifest:
    """The access Secret; `key` None leaves the key out, for comparing only."""
    annotations = {
        constants.KEY_ID_ANNOTATION: record.key_id,
        constants.KEY_HASH_ANNOTATION: record.sha256,
        constants.ROTATED_AT_ANNOTATION: show_time(record.rotated_at),
        constants.ROTATION_REQUEST_ANNOTATION: record.honoured_request,
    }
    if record.previous is not None:
        annotations[constants.PREVIOUS_KEY_ANNOTATION] = _show_previous(record.previous)
    return access_secret(workspace, key, annotations, config)


def declared(record: KeyRecord, now: datetime) -> tuple[DeclaredKey, ...]:
    """The keys that are to work now, for the platform: the current one, and the one before until it expires."""
    keys: tuple[DeclaredKey, ...] = (DeclaredKey(record.key_id, record.sha256),)
    previous = record.previous
    if previous is not None and previous.sha256 and previous.expires_at > now:
        keys += (DeclaredKey(previous.key_id, previous.sha256, previous.expires_at),)
    return keys


def status_of(record: KeyRecord, now: datetime) -> dict[str, str]:
    """For status.accessKey: public part and the begin of the hash only."""
    status = {
        "secretName": constants.ACCESS_SECRET,
        "keyId": record.key_id,
        "hash": record.sha256[:16],
        "rotatedAt": show_time(record.rotated_at),
    }
    for key in declared(record, now)[1:]:
        assert key.expires_at is not None
        status["previousExpiresAt"] = show_time(key.expires_at)
    return status


def _examine(observed: Observed, workspace: Workspace) -> tuple[KeyRecord | None, str]:
    """What the Secret says of its key, if that can be read, and why the key in it must not be used."""
    record = _read_record(observed)
    if observed.owner_uid != workspace.uid and not _lost_its_mark(observed, record, workspace):
        return None, "the Secret was not made for this workspace"
    content = observed.content["data"].get(constants.KEY_DATA)
    if content is None:
        return record, "the key was taken out of the Secret"
    if record is None:
        return None, "the Secret's annotations were changed, so that its key cannot be trusted"
    if content != record.sha256 or observed.key_id != record.key_id:
        return record, "the key in the Secret is not the one that was issued"
    if not _status_has(workspace, record) and not _replaces_status(workspace, record):
        return None, "the key in the Secret is not the one issued last (an older Secret was put back)"
    return record, ""


def _lost_its_mark(observed: Observed, record: KeyRecord | None, workspace: Workspace) -> bool:
    """Somebody took the annotation with our uid off a Secret whose key the status knows."""
    return not observed.owner_uid and record is not None and _status_has(workspace, record)


def _read_record(observed: Observed) -> KeyRecord | None:
    notes = observed.annotations
    rotated_at = parse_time(notes.get(constants.ROTATED_AT_ANNOTATION, ""))
    key_id, sha256 = notes.get(constants.KEY_ID_ANNOTATION, ""), notes.get(constants.KEY_HASH_ANNOTATION, "")
    if rotated_at is None or not key_id or len(sha256) != 64:
        return None
    request = notes.get(constants.ROTATION_REQUEST_ANNOTATION, "")
    previous = _read_previous(notes.get(constants.PREVIOUS_KEY_ANNOTATION, ""))
    return KeyRecord(key_id, sha256, rotated_at, request, previous)


def _read_previous(text: str) -> PreviousKey | None:
    try:
        note = orjson.loads(text or b"{}")
        expires_at = parse_time(note["expiresAt"])
        return PreviousKey(note["keyId"], note["sha256"], expires_at) if expires_at else None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _show_previous(previous: PreviousKey) -> str:
    note = {"keyId": previous.key_id, "sha256": previous.sha256, "expiresAt": show_time(previous.expires_at)}
    return orjson.dumps(note).decode()


def _status_key(workspace: Workspace) -> tuple[str, str]:
    status = workspace.status.get("accessKey") or {}
    return status.get("keyId", ""), status.get("hash", "")


def _status_has(workspace: Workspace, record: KeyRecord) -> bool:
    return _status_key(workspace) == (record.key_id, record.sha256[:16])


def _replaces_status(workspace: Workspace, record: KeyRecord) -> bool:
    """The key followed the one in the status, which was not written yet when the operator stopped."""
    known, _ = _status_key(workspace)
    return not known or (record.previous is not None and record.previous.key_id == known)


def _still_trusted(record: KeyRecord | None, workspace: Workspace, now: datetime) -> PreviousKey | None:
    """The key that was damaged in the Secret: programs that read it before may use it for the overlap."""
    if record is None or not _status_has(workspace, record):
        return None
    expires = now.replace(microsecond=0) + timedelta(seconds=workspace.spec.access_key.overlap_seconds)
    return PreviousKey(record.key_id, record.sha256, expires)


def _remembered(workspace: Workspace, now: datetime) -> PreviousKey | None:
    """The key of the status, whose hash is not known in full: it works no more, but shows that the new one is ours."""
    known, _ = _status_key(workspace)
    return PreviousKey(known, "", now) if known else None


def _why_due(record: KeyRecord, observed: Observed, workspace: Workspace, now: datetime) -> str:
    if workspace.rotation_request and workspace.rotation_request != record.honoured_request:
        return "a rotation was asked for"
    lifetime = workspace.spec.access_key.rotate_after_seconds
    made = _made_at(record, observed, now)
    if lifetime and made is not None and now - made >= timedelta(seconds=lifetime):
        return f"the key is older than {lifetime} s"
    return ""


def _made_at(record: KeyRecord, observed: Observed, now: datetime) -> datetime | None:
    """When the key was made. A time in the future is of a clock that was wrong, then or now: the API server's counts.

    That one is the time of our last write to the Secret, so a clock that jumps makes the key neither immortal nor
    twice as old.
    """
    return record.rotated_at if record.rotated_at <= now else parse_time(observed.written_at)


def _next_at(record: KeyRecord, observed: Observed, workspace: Workspace, now: datetime) -> datetime | None:
    times = [key.expires_at for key in declared(record, now) if key.expires_at is not None]
    if lifetime := workspace.spec.access_key.rotate_after_seconds:
        times.append((_made_at(record, observed, now) or now) + timedelta(seconds=lifetime))
    return min(times, default=None)


def _kept(
    record: KeyRecord, observed: Observed, workspace: Workspace, config: TenantConfig, next_at: datetime | None
) -> Decision:
    found = compare.changes(secret_manifest(workspace, None, record, config), observed)
    if not found:
        return Decision(KeyAction.KEEP, record=_with_true_overlap(record, observed, workspace), next_at=next_at)
    fields = tuple(change.field for change in found)
    reason = f"the Secret was changed: {', '.join(fields)}"
    new_object = compare.needs_new_object("Secret", found)
    return Decision(
        KeyAction.REPAIR, reason, record, fields=fields, new_object=new_object, uid=observed.uid, next_at=next_at
    )


def _with_true_overlap(record: KeyRecord, observed: Observed, workspace: Workspace) -> KeyRecord:
    """Without the years that a clock far ahead, when the key was replaced, would give the one before."""
    written = parse_time(observed.written_at)
    if record.previous is None or written is None or record.rotated_at - written < _CLOCK_SKEW:
        return record
    latest = written + timedelta(seconds=workspace.spec.access_key.overlap_seconds)
    return replace(record, previous=replace(record.previous, expires_at=min(record.previous.expires_at, latest)))


def _rotation(
    reason: str, previous: PreviousKey | None, observed: Observed, workspace: Workspace, config: TenantConfig
) -> Decision:
    empty = KeyRecord("", "", datetime(1970, 1, 1, tzinfo=UTC), "", None)
    found = compare.changes(secret_manifest(workspace, None, empty, config), observed)
    new_object = compare.needs_new_object("Secret", found)
    return Decision(KeyAction.ROTATE, reason, previous=previous, new_object=new_object, uid=observed.uid)
