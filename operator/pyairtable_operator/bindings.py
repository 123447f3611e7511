"""The status of every BaseBinding in a tenant's namespace, the operator's own and the tenant's."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pyairtable_operator import bases as rules
from pyairtable_operator.applying import all_of
from pyairtable_operator.bases import Bases
from pyairtable_operator.binding_status import binding_status, invalid_binding_status
from pyairtable_operator.conditions import Finding, finding
from pyairtable_operator.constants import API_VERSION
from pyairtable_operator.credentials import CredentialVerdict, Verification
from pyairtable_operator.drift import Drift
from pyairtable_operator.kube import Kube
from pyairtable_operator.kube_errors import ConflictError, KubeError, NotFoundError, TemporaryKubeError
from pyairtable_operator.reasons import REACHABLE, REASONS
from pyairtable_operator.spec import Binding, InvalidSpec, parse_binding
from pyairtable_operator.store import Store

log = logging.getLogger(__name__)

Document = dict[str, Any]


@dataclass(slots=True)
class Parsed:
    """The BaseBindings of a namespace; `invalid` are documents with what is wrong with them."""

    good: list[Binding] = field(default_factory=list)
    invalid: list[tuple[Document, str]] = field(default_factory=list)


@dataclass(slots=True)
class Schemas:
    """Drift by name of the base, and the bases of which no schema is known yet."""

    drifts: dict[str, Drift] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    """Those whose changed schema was accepted by this pass."""
    failed: list[str] = field(default_factory=list)
    """Those whose status the API server did not take."""


def parse(documents: Sequence[Document]) -> Parsed:
    """Reads them; those that are being deleted do not count."""
    parsed = Parsed()
    for document in documents:
        if document["metadata"].get("deletionTimestamp"):
            continue
        try:
            parsed.good.append(parse_binding(document))
        except InvalidSpec as error:
            parsed.invalid.append((document, str(error)))
    return parsed


class BindingStatuses:
    """Writes the statuses that differ."""

    def __init__(self, kube: Kube, store: Store) -> None:
        """Keeps no state of its own."""
        self._kube = kube
        self._store = store

    async def update(
        self,
        parsed: Parsed,
        bases: Bases,
        verdict: CredentialVerdict,
        verification: Verification | None,
        now: datetime,
    ) -> Schemas:
        """Judges every binding, writes what is new, and returns what is known of the schemas."""
        schemas = Schemas()
        writes = []
        for binding in parsed.good:
            reachable = _reachable(binding, bases, verdict, verification)
            check, at = None, None
            if verification is not None and reachable.reason.status == "True":
                check, at = verification.bases.get(binding.spec.base_id), verification.at
            told = binding_status(binding, reachable, check, at, now)
            if told.seen:
                schemas.drifts[binding.meta.name] = told.drift
            else:
                schemas.unseen.append(binding.meta.name)
            if told.accepted:
                schemas.accepted.append(binding.meta.name)
            if told.status != binding.status:
                meta = binding.meta
                writes.append(self._write(meta.namespace, meta.name, meta.uid, told.status, schemas))
        for document, fault in parsed.invalid:
            status = invalid_binding_status(document, fault, now)
            if status != document["status"]:
                metadata = document["metadata"]
                writes.append(self._write(metadata["namespace"], metadata["name"], metadata["uid"], status, schemas))
        await all_of(writes)
        return schemas

    async def _write(self, namespace: str, name: str, uid: str, status: Mapping[str, Any], schemas: Schemas) -> None:
        metadata = {"name": name, "namespace": namespace, "uid": uid}
        body = {"apiVersion": API_VERSION, "kind": "BaseBinding", "metadata": metadata, "status": status}
        try:
            answer = await self._kube.apply(body, force=True, subresource="status")
        except (NotFoundError, ConflictError):
            return  # it is gone, or another of its name: the watch tells
        except KubeError as error:
            if isinstance(error, TemporaryKubeError) and not error.answered:
                raise
            log.warning("the status of BaseBinding %s/%s could not be written: %s", namespace, name, error)
            schemas.failed.append(name)
            return
        self._store.changed("BaseBinding", answer)


def _reachable(
    binding: Binding, bases: Bases, verdict: CredentialVerdict, verification: Verification | None
) -> Finding:
    refused = bases.refused.get(binding.meta.name)
    if refused is not None and not binding.managed:
        return refused
    if not verdict.in_use and verdict.finding.reason.status == "False":
        return finding(REACHABLE, "NoCredential", verdict.finding.message)
    if verification is None or verification.problem or binding.spec.base_id not in verification.bases:
        before = _before(binding)
        if before is not None:
            return before
    base = next((item for item in bases.allowed if item.base_id == binding.spec.base_id), None)
    if base is None:
        return finding(REACHABLE, "Pending")
    return rules.judge_base(base, verification)


def _before(binding: Binding) -> Finding | None:
    """What Airtable confirmed of this very spec stands until it says otherwise."""
    for condition in binding.status.get("conditions") or ():
        fits = condition.get("observedGeneration") == binding.meta.generation and condition.get("status") == "True"
        if condition.get("type") == REACHABLE and fits:
            return Finding(REASONS[REACHABLE, condition["reason"]], condition.get("message", ""))
    return None
