"""The status of a BaseBinding: what Airtable said of the base, and how its tables differ from those accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyairtable_operator import conditions, drift
from pyairtable_operator.conditions import Finding, finding
from pyairtable_operator.constants import ACCEPT_SCHEMA_ANNOTATION
from pyairtable_operator.credentials import BaseCheck
from pyairtable_operator.drift import Drift
from pyairtable_operator.reasons import BINDING_TYPES, REACHABLE, SCHEMA_CURRENT
from pyairtable_operator.spec import Binding, parse_meta
from pyairtable_operator.status import says_the_same
from pyairtable_operator.times import show_time


@dataclass(frozen=True, slots=True)
class BindingStatus:
    """The whole status, and the drift that it tells of."""

    status: dict[str, Any]
    drift: Drift
    seen: bool
    """Whether a schema is known at all."""
    accepted: bool
    """Whether a changed schema was accepted just now."""


def binding_status(
    binding: Binding, reachable: Finding, check: BaseCheck | None, checked_at: datetime | None, now: datetime
) -> BindingStatus:
    """`check`: what Airtable said of a base that it let us see, else None, which keeps what was seen last."""
    previous = binding.status
    seen = _seen(previous, check, checked_at)
    tables = drift.read_tables(seen.get("tables") or ())
    baseline = _baseline(binding, seen, now)
    found = drift.compare_tables(drift.read_tables(baseline.get("tables") or ()), tables) if baseline else Drift()
    schema = _schema(binding, found, known=baseline is not None)
    merged = conditions.merge(
        (reachable, schema), BINDING_TYPES, previous.get("conditions") or (), binding.meta.generation, now
    )
    status = {"observedGeneration": binding.meta.generation, **seen, "conditions": merged}
    if baseline is not None:
        status["baseline"] = baseline
    if found:
        status["changedTables"] = [name[:255] for name in found.tables[:1000]]
    before = previous.get("baseline")
    return BindingStatus(status, found, baseline is not None, before is not None and before != baseline)


def invalid_binding_status(body: Mapping[str, Any], error: str, now: datetime) -> dict[str, Any]:
    """The status of a BaseBinding whose spec raised InvalidSpec."""
    previous = body.get("status") or {}
    generation = parse_meta(body).generation
    fault = finding(REACHABLE, "InvalidSpec", f"{error}. Correct the BaseBinding.")
    merged = conditions.merge((fault,), BINDING_TYPES, previous.get("conditions") or (), generation, now)
    return {**previous, "observedGeneration": generation, "conditions": merged}


def _seen(previous: Mapping[str, Any], check: BaseCheck | None, checked_at: datetime | None) -> dict[str, Any]:
    names = ("baseName", "permissionLevel", "tables", "fingerprint", "lastVerifiedAt")
    before = {name: previous[name] for name in names if name in previous}
    if check is None or check.problem or checked_at is None:
        return before
    seen = {
        "baseName": check.name[:255],
        "permissionLevel": check.permission_level[:30],
        "tables": drift.show_tables(check.tables),
        "fingerprint": check.fingerprint,
        "lastVerifiedAt": show_time(checked_at),
    }
    return before if says_the_same(seen, before, "lastVerifiedAt") else seen


def _baseline(binding: Binding, seen: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
    """What is accepted: the first schema that was seen, and later the one that the annotation accepts."""
    before: dict[str, Any] | None = binding.status.get("baseline")
    fingerprint = seen.get("fingerprint")
    if fingerprint is None:
        return before
    if before is not None and before.get("fingerprint") == fingerprint:
        return before
    if before is not None and not drift.accepts(binding.accepted_schema, fingerprint):
        return before
    return {"fingerprint": fingerprint, "acceptedAt": show_time(now), "tables": seen.get("tables") or []}


def _schema(binding: Binding, found: Drift, *, known: bool) -> Finding:
    if not known:
        return finding(SCHEMA_CURRENT, "Pending")
    if not found:
        return finding(SCHEMA_CURRENT, "Current")
    name = binding.meta.name
    message = (
        f"{found}. When that is meant: kubectl -n {binding.meta.namespace} annotate basebinding {name} --overwrite "
        f"{ACCEPT_SCHEMA_ANNOTATION}=$(kubectl -n {binding.meta.namespace} get basebinding {name} "
        "-o jsonpath='{.status.fingerprint}')"
    )
    return finding(SCHEMA_CURRENT, "SchemaDrifted", message)
