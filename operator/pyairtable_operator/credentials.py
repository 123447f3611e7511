"""Whether a workspace's Airtable token may and can be used, without ever having seen it.

A Secret opts in to one workspace by label; without that no Workspace can reach it, whoever writes its name. A changed
token is put to use only after Airtable accepted it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pyairtable_operator.conditions import Finding, finding
from pyairtable_operator.constants import WORKSPACE_LABEL
from pyairtable_operator.drift import Table
from pyairtable_operator.reasons import CREDENTIALS_VALID
from pyairtable_operator.spec import SecretRef, Workspace

EMPTY = hashlib.sha256(b"").hexdigest()[:16]
SHARED = "shared"
"""Stands for the version of the installation's own token, which no Secret of the credentials namespace holds."""


@dataclass(frozen=True, slots=True)
class CredentialSecret:
    """A Secret of the credentials namespace: the workspace in its label and sha256[:16] of each value."""

    name: str
    workspace: str
    hashes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BaseCheck:
    """What Airtable said of a base. `problem` is the name of an ErrorReason (BASE_NOT_FOUND ...), empty: none."""

    base_id: str
    problem: str = ""
    message: str = ""
    name: str = ""
    permission_level: str = ""
    tables: tuple[Table, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """The answer to VerifyBindings. `problem` is the name of an ErrorReason; GATEWAY_UNAVAILABLE: no answer came."""

    version: str
    """sha256[:16] of the token that was asked about."""
    at: datetime
    problem: str = ""
    message: str = ""
    user_id: str = ""
    scopes: tuple[str, ...] = ()
    bases: Mapping[str, BaseCheck] = field(default_factory=dict)
    """By base id."""


@dataclass(frozen=True, slots=True)
class CredentialVerdict:
    """`in_use`: version that the registry declares, empty: none. `to_verify`: version to ask Airtable about, if any."""

    finding: Finding
    in_use: str = ""
    to_verify: str = ""


_REJECTED = {"AIRTABLE_TOKEN_REJECTED": "TokenRejected", "UNAUTHENTICATED": "TokenRejected", "DENIED": "ScopesMissing"}


def judge_credential(
    workspace: Workspace,
    secrets: Mapping[str, CredentialSecret],
    verification: Verification | None,
    namespace: str,
    *,
    shared: bool = False,
) -> CredentialVerdict:
    """`secrets`: those of the credentials namespace that opted in to anybody, by name; `verification`: the last one;
    `shared`: who names no token uses the installation's own."""
    airtable = workspace.spec.airtable
    if model_key := workspace.spec.llm.api_key_secret_ref:
        fault = _unusable(workspace, model_key, secrets, namespace)
        if fault is not None:
            return CredentialVerdict(fault, in_use=_version_if_usable(workspace, secrets, verification, namespace))
    ref = airtable.token_secret_ref
    if ref is None:
        if not airtable.bases and not airtable.tenant_bases:
            return CredentialVerdict(finding(CREDENTIALS_VALID, "NotNeeded"))
        if shared:
            return _judge_version(workspace, "AIRTABLE_TOKEN of the airtable-gateway", SHARED, verification)
        message = "spec.airtable.bases needs a token: name its Secret in spec.airtable.tokenSecretRef"
        return CredentialVerdict(finding(CREDENTIALS_VALID, "NoCredentialRef", message))
    if fault := _unusable(workspace, ref, secrets, namespace):
        return CredentialVerdict(fault)
    return _judge_version(workspace, _place(ref), secrets[ref.name].hashes[ref.key], verification)


def judge_model_key(
    workspace: Workspace, secrets: Mapping[str, CredentialSecret], namespace: str
) -> tuple[str, Finding | None]:
    """Version of the model provider's key that the registry declares, and why there is none."""
    ref = workspace.spec.llm.api_key_secret_ref
    if ref is None:
        return "", None
    fault = _unusable(workspace, ref, secrets, namespace)
    return ("", fault) if fault else (secrets[ref.name].hashes[ref.key], None)


def _version_if_usable(
    workspace: Workspace,
    secrets: Mapping[str, CredentialSecret],
    verification: Verification | None,
    namespace: str,
) -> str:
    ref = workspace.spec.airtable.token_secret_ref
    if ref is None or _unusable(workspace, ref, secrets, namespace):
        return ""
    return _judge_version(workspace, _place(ref), secrets[ref.name].hashes[ref.key], verification).in_use


def _place(ref: SecretRef) -> str:
    return f"key {ref.key} of Secret {ref.name}"


def _unusable(
    workspace: Workspace, ref: SecretRef, secrets: Mapping[str, CredentialSecret], namespace: str
) -> Finding | None:
    where = f"Secret {namespace}/{ref.name}"
    secret = secrets.get(ref.name)
    if secret is None:
        message = (
            f"{where} is missing or has not opted in to this workspace. Make it with the key {ref.key}, then: "
            f"kubectl -n {namespace} label secret {ref.name} {WORKSPACE_LABEL}={workspace.name}"
        )
        return finding(CREDENTIALS_VALID, "SecretNotUsable", message)
    if secret.workspace != workspace.name:
        message = (
            f"{where} has opted in to another workspace. Use a Secret of this workspace's own, or give this one over: "
            f"kubectl -n {namespace} label --overwrite secret {ref.name} {WORKSPACE_LABEL}={workspace.name}"
        )
        return finding(CREDENTIALS_VALID, "SecretForAnotherWorkspace", message)
    version = secret.hashes.get(ref.key)
    if version is None:
        message = f"{where} has no key {ref.key}: put the value there, or name the right key in the reference to it"
        return finding(CREDENTIALS_VALID, "SecretNotUsable", message)
    if version == EMPTY:
        return finding(CREDENTIALS_VALID, "SecretEmpty", f"{where} holds nothing under {ref.key}: put the value there")
    return None


def _judge_version(
    workspace: Workspace, where: str, version: str, verification: Verification | None
) -> CredentialVerdict:
    before = (workspace.status.get("credential") or {}).get("hash", "")
    answered = verification if verification is not None and verification.version == version else None
    accepted = answered is not None and not answered.problem
    if accepted or (version == before and (answered is None or answered.problem not in _REJECTED)):
        # Airtable being away is no reason to doubt a token that it accepted before.
        return CredentialVerdict(finding(CREDENTIALS_VALID, "Verified"), in_use=version, to_verify=version)
    if answered is not None and answered.problem in _REJECTED:
        said = f"Airtable refused the token in {where}: {answered.message or answered.problem}."
        if before and before != version:
            message = f"{said} The token before stays in use until there is one that Airtable accepts."
            return CredentialVerdict(finding(CREDENTIALS_VALID, "RotationRejected", message), before, version)
        message = f"{said} Put a token there that may read and write the bases of this workspace."
        # A token that served until now stays declared: callers are told that Airtable refuses it.
        return CredentialVerdict(finding(CREDENTIALS_VALID, _REJECTED[answered.problem], message), before, version)
    if before and before != version:
        return CredentialVerdict(finding(CREDENTIALS_VALID, "RotationPending"), in_use=before, to_verify=version)
    return CredentialVerdict(_not_answered(answered), in_use="", to_verify=version)


def _not_answered(answered: Verification | None) -> Finding:
    if answered is None:
        return finding(CREDENTIALS_VALID, "Pending")
    gateway = answered.problem in ("GATEWAY_UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", "DEADLINE", "INTERNAL")
    return finding(CREDENTIALS_VALID, "GatewayUnavailable" if gateway else "AirtableUnavailable", answered.message)
