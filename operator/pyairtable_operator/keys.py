"""The access Secret: written before anybody is told of its key, and never without having read it just before."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyairtable_operator import access_keys, compare
from pyairtable_operator.access_keys import Decision, KeyAction, KeyMaterial, KeyRecord
from pyairtable_operator.applying import Applier
from pyairtable_operator.conditions import Finding
from pyairtable_operator.constants import ACCESS_SECRET, KEY_DATA
from pyairtable_operator.findings import key_not_issued, key_refused
from pyairtable_operator.kube import Body, Kube
from pyairtable_operator.kube_errors import (
    AlreadyExistsError,
    ConflictError,
    KubeError,
    NotFoundError,
    TemporaryKubeError,
)
from pyairtable_operator.manifests import ObjectKey, TenantConfig
from pyairtable_operator.spec import Workspace
from pyairtable_operator.store import Store

AGAIN = timedelta(seconds=1)
"""After a write that met somebody else's: as a rule the watch has told by then."""


@dataclass(frozen=True, slots=True)
class Issued:
    """The key that stands in the Secret; or why there is none."""

    record: KeyRecord | None = None
    fault: Finding | None = None
    next_at: datetime | None = None
    told: str = ""
    """What was done, in words, for an Event; empty when nothing was."""
    failed: bool = False
    """Whether the same may succeed soon, with nothing changed."""
    event: str = ""
    """The reason of that Event."""


class KeyKeeper:
    """Keeps the access Secrets as access_keys decides."""

    def __init__(self, kube: Kube, store: Store, applier: Applier, config: TenantConfig) -> None:
        """Keeps no key."""
        self._kube = kube
        self._store = store
        self._applier = applier
        self._config = config

    async def issue(self, workspace: Workspace, now: datetime) -> Issued:
        """Makes the Secret so. TemporaryKubeError when the API server could not be asked; what it answers is told."""
        where = ObjectKey("Secret", workspace.namespace, ACCESS_SECRET)
        decision = access_keys.decide(self._store.essence(where), workspace, self._config, now)
        if decision.action is KeyAction.KEEP:
            return Issued(decision.record, next_at=decision.next_at)
        try:
            return await self._change(workspace, where, decision, now)
        except TemporaryKubeError as error:
            if not error.answered:
                raise
            return Issued(fault=key_refused(error), failed=True)
        except (ConflictError, AlreadyExistsError, NotFoundError) as error:
            await self._applier.look(where)
            return Issued(fault=key_not_issued("Conflict", str(error)), next_at=now + AGAIN)
        except KubeError as error:
            return Issued(fault=key_refused(error))

    async def _change(self, workspace: Workspace, where: ObjectKey, decision: Decision, now: datetime) -> Issued:
        live, decision = await self._look(workspace, where, now)
        if decision.action is KeyAction.WAIT:
            return Issued(fault=key_not_issued("Conflict", decision.reason))
        if decision.action is KeyAction.KEEP:
            return Issued(decision.record, next_at=decision.next_at)
        if decision.action is KeyAction.REPAIR and live is not None and decision.record is not None:
            material, record = _material(live), decision.record
        else:
            material = access_keys.new_key(secrets.token_bytes(access_keys.RANDOM_BYTES))
            record = access_keys.new_record(material, decision, workspace, now)
        await self._write(workspace, material, record, decision, live)
        return Issued(record, next_at=decision.next_at or now, told=_told(decision), event=_event(decision))

    async def _look(self, workspace: Workspace, where: ObjectKey, now: datetime) -> tuple[Body | None, Decision]:
        """The Secret as it is at this moment, and the decision by that: what the watch told may be old."""
        try:
            live = await self._kube.get(*where)
        except NotFoundError:
            self._store.gone(*where)
            return None, access_keys.decide(None, workspace, self._config, now)
        self._store.changed("Secret", live)
        return live, access_keys.decide(compare.essence(live), workspace, self._config, now)

    async def _write(
        self, workspace: Workspace, material: KeyMaterial, record: KeyRecord, decision: Decision, live: Body | None
    ) -> None:
        """Applies to the very version that was read. Also creates by apply, since only that names the object, and the
        right to create Secrets is for one name only."""
        body = dict(access_keys.secret_manifest(workspace, material.key, record, self._config).body)
        if live is not None and decision.new_object:
            await self._kube.delete("Secret", workspace.namespace, ACCESS_SECRET, live["metadata"]["uid"])
            live = None
        if live is None:
            answer = await self._kube.apply(body)
        else:
            body["metadata"] = {**body["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}
            answer = await self._kube.apply(body, force=True)
        self._store.changed("Secret", answer)


def _material(live: Body) -> KeyMaterial:
    return access_keys.material(base64.b64decode(live["data"][KEY_DATA]).decode())


def _told(decision: Decision) -> str:
    words = {
        KeyAction.CREATE: "an access key was issued",
        KeyAction.ROTATE: "a new access key was issued",
        KeyAction.REPAIR: "the access Secret was put right",
    }
    return f"{words[decision.action]}: {decision.reason}"


def _event(decision: Decision) -> str:
    if decision.action is KeyAction.REPAIR:
        return "Repaired"
    if decision.replaces:
        return "AccessKeyReplaced"
    return "AccessKeyIssued" if decision.action is KeyAction.CREATE else "AccessKeyRotated"
