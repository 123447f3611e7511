"""Which bases a workspace may use, and what Airtable says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyairtable_operator.conditions import Finding, finding
from pyairtable_operator.credentials import BaseCheck, Verification
from pyairtable_operator.reasons import BASES_BOUND, REACHABLE
from pyairtable_operator.spec import Base, Binding, Workspace

_LEVELS = ("none", "read", "comment", "edit", "create")
"""Airtable's permission levels (docs: Get base schema), the least first."""

_NEEDED = {"ReadOnly": "read", "ReadWrite": "edit", "Schema": "create"}


@dataclass(frozen=True, slots=True)
class Bases:
    """The bases in force, and the tenant's bindings that are refused, by name of the binding."""

    allowed: tuple[Base, ...]
    refused: Mapping[str, Finding]


def effective_bases(workspace: Workspace, bindings: Sequence[Binding]) -> Bases:
    """Those of the Workspace, then those that the tenant bound himself and may, in order of name.

    The operator's own BaseBindings do not count: the Workspace says what they are to be.
    """
    allowed = list(workspace.spec.airtable.bases)
    refused: dict[str, Finding] = {}
    for binding in sorted((item for item in bindings if not item.managed), key=lambda item: item.meta.name):
        fault = _refusal(workspace, binding, allowed)
        if fault is not None:
            refused[binding.meta.name] = fault
            continue
        default = binding.spec.default and not any(base.default for base in allowed)
        spec = binding.spec
        allowed.append(Base(binding.meta.name, spec.base_id, spec.access, default, spec.tables))
    return Bases(tuple(allowed), refused)


def judge_bases(workspace: Workspace, bases: Bases, verification: Verification | None) -> tuple[Finding, str]:
    """BasesBound, and "bound/declared" for the status."""
    known = _confirmed_before(workspace)
    checks = [judge_base(base, verification) for base in bases.allowed]
    bound = sum(item.reason.status == "True" for item in checks)
    total = len(bases.allowed)
    if not verified(verification) and known is not None and known == f"{total}/{total}":
        bound, checks = total, []  # Airtable being away does not unbind what it confirmed
    count = f"{bound}/{total}"
    if not total and not bases.refused:
        return finding(BASES_BOUND, "NoBases"), count
    faults = [item for item in checks if item.reason.status != "True"]
    faults.sort(key=lambda item: item.reason.status != "False")  # what is known to be wrong comes first
    faults += bases.refused.values()
    if not faults:
        return finding(BASES_BOUND, "AllBound"), count
    return finding(BASES_BOUND, faults[0].reason.name, " ".join(item.message for item in faults)), count


def verified(verification: Verification | None) -> bool:
    """Whether Airtable answered at all."""
    return verification is not None and not verification.problem


def judge_base(base: Base, verification: Verification | None) -> Finding:
    """Reachable of one base."""
    if verification is None:
        return finding(REACHABLE, "Pending", f"Base {base.name} has not been verified yet.")
    if verification.problem:
        return finding(REACHABLE, "NotVerified", f"Base {base.name} could not be verified: {_said(verification)}.")
    check = verification.bases.get(base.base_id)
    if check is None:
        return finding(REACHABLE, "Pending", f"Base {base.name} has not been verified yet.")
    if check.problem in ("BASE_NOT_FOUND", "DENIED"):
        message = (
            f"The token does not see base {base.name} ({base.base_id}): add the base to the token in Airtable, "
            "or correct the baseId."
        )
        return finding(REACHABLE, "BaseNotFound", message)
    if check.problem:
        return finding(REACHABLE, "NotVerified", f"Base {base.name} could not be verified: {_said(check)}.")
    return _judge_permission(base, check)


def _judge_permission(base: Base, check: BaseCheck) -> Finding:
    needed = _NEEDED[base.access]
    # A level that Airtable invents later is not judged.
    if check.permission_level in _LEVELS and _LEVELS.index(check.permission_level) < _LEVELS.index(needed):
        message = (
            f"The token has permission {check.permission_level} in base {base.name} ({base.base_id}), and access "
            f"{base.access} needs {needed}: give its user more rights in Airtable, or declare less access."
        )
        return finding(REACHABLE, "BaseReadOnly", message)
    return finding(REACHABLE, "Reachable")


def _refusal(workspace: Workspace, binding: Binding, allowed: Sequence[Base]) -> Finding | None:
    name, base_id = binding.meta.name, binding.spec.base_id
    if base_id not in workspace.spec.airtable.tenant_bases:
        message = (
            f"BaseBinding {name}: workspace {workspace.name} does not let its tenant bind {base_id}; "
            "its owner can add it to spec.airtable.tenantBases."
        )
        return finding(REACHABLE, "BaseNotAllowed", message)
    if any(base.base_id == base_id or base.name == name for base in allowed):
        message = f"BaseBinding {name}: {base_id} or the name {name} is bound already; delete this binding."
        return finding(REACHABLE, "DuplicateBase", message)
    return None


def _said(answer: Verification | BaseCheck) -> str:
    return (answer.message or answer.problem).rstrip(".")


def _confirmed_before(workspace: Workspace) -> str | None:
    holds = any(
        condition.get("type") == BASES_BOUND
        and condition.get("status") == "True"
        and condition.get("observedGeneration") == workspace.meta.generation
        for condition in workspace.status.get("conditions") or ()
    )
    return workspace.status.get("bases") if holds else None
