"""What was found out about namespace, key, platform, network and schema, as conditions with the remedy in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pyairtable_operator import constants
from pyairtable_operator.conditions import Finding, finding
from pyairtable_operator.decide import Action, ActionKind, Claim, NamespaceClaim
from pyairtable_operator.drift import Drift
from pyairtable_operator.kube_errors import KubeError
from pyairtable_operator.manifests.manifest import ObjectKey
from pyairtable_operator.reasons import (
    ACCESS_KEY_ISSUED,
    NAMESPACE_READY,
    NETWORK_ISOLATED,
    PLATFORM_SYNCED,
    SCHEMA_CURRENT,
)
from pyairtable_operator.spec import Workspace

Enforcement = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class ApplyFailure:
    """The API server's refusal to write an object; `text` is its message."""

    key: ObjectKey
    status: int
    text: str

    @property
    def temporary(self) -> bool:
        """A fault of the server's or of a webhook's, no refusal."""
        return self.status >= 500

    @property
    def over_quota(self) -> bool:
        return over_quota(self.status, self.text)


def over_quota(status: int, text: str) -> bool:
    """Kubernetes docs, Resource Quotas: 403 FORBIDDEN with "exceeded quota" in the message."""
    return status == 403 and "exceeded quota" in text


def invalid_spec(text: str) -> Finding:
    """The message of an InvalidSpec."""
    return finding(NAMESPACE_READY, "InvalidSpec", f"{text}. Correct the Workspace.")


def judge_namespace(
    workspace: Workspace, claim: NamespaceClaim, left: Sequence[Action], failures: Sequence[ApplyFailure]
) -> Finding:
    """`left`: actions of the plan that could not be done (Wait, Conflict); `failures`: what was tried and refused."""
    if fault := _unusable(workspace, claim):
        return fault
    for action in left:
        if action.kind is ActionKind.CONFLICT:
            return finding(NAMESPACE_READY, "Conflict", _conflict(action))
    for failure in failures:
        said = f"{failure.key} could not be written: {failure.text.rstrip('.')}."
        if failure.over_quota:
            remedy = "Raise spec.namespace.quota, or delete what fills it."
            return finding(NAMESPACE_READY, "QuotaExceeded", f"{said} {remedy}")
        return finding(NAMESPACE_READY, "ApplyFailed", f"{said} It is tried again.")
    for action in left:
        if action.kind is ActionKind.WAIT:
            return finding(
                NAMESPACE_READY, "Pending", f"{action.key} is being deleted; it is made anew when it is gone."
            )
    return finding(NAMESPACE_READY, "Ready")


def _unusable(workspace: Workspace, claim: NamespaceClaim) -> Finding | None:
    name = workspace.namespace
    match claim.claim:
        case Claim.NOT_ALLOWED:
            message = f"Namespace {name} belongs to the cluster or the platform. Make the Workspace anew with another."
            return finding(NAMESPACE_READY, "NameNotAllowed", message)
        case Claim.TERMINATING:
            message = (
                f"Namespace {name} is being deleted. What holds it up is in its conditions: "
                f"kubectl get namespace {name} -o jsonpath='{{.status.conditions}}'"
            )
            return finding(NAMESPACE_READY, "NamespaceTerminating", message)
        case Claim.NOT_OURS if claim.holder and claim.holder != workspace.name:
            message = f"Namespace {name} belongs to workspace {claim.holder}. Make the Workspace anew with another."
            return finding(NAMESPACE_READY, "NamespaceNotOurs", message)
        case Claim.NOT_OURS:
            message = (
                f"Namespace {name} was there before and is left alone. To hand it over to this workspace (it is then "
                f"never deleted with it): kubectl annotate namespace {name} "
                f"{constants.ADOPT_ANNOTATION}={workspace.name}"
            )
            return finding(NAMESPACE_READY, "NamespaceNotOurs", message)
    return None


def _conflict(action: Action) -> str:
    managers = ", ".join(sorted({f'"{conflict.manager}"' for conflict in action.conflicts}))
    fields = ", ".join(sorted({conflict.field for conflict in action.conflicts}))
    return (
        f"{action.key}: {fields} is also declared, with another value, by {managers} (server-side apply). Take the "
        "field out there, or set it in the Workspace; until then the object is left as it is."
    )


def key_issued(*, overlap_until: str) -> Finding:
    """`overlap_until`: until when the key before works, empty when there is none."""
    if not overlap_until:
        return finding(ACCESS_KEY_ISSUED, "Issued")
    return finding(ACCESS_KEY_ISSUED, "Rotating", f"A new key was issued; the one before works until {overlap_until}.")


def key_refused(refusal: KubeError) -> Finding:
    """The API server's refusal to write the access Secret."""
    if not over_quota(refusal.status, str(refusal)):
        return key_not_issued("Conflict", str(refusal))
    remedy = "Raise the namespace's quota for Secrets, or delete what fills it."
    return finding(ACCESS_KEY_ISSUED, "QuotaExceeded", f"{str(refusal).rstrip('.')}. {remedy}")


def key_not_issued(reason: Literal["PlatformUnavailable", "Conflict"], text: str) -> Finding:
    """`text`: what the auth service or the API server said."""
    return finding(ACCESS_KEY_ISSUED, reason, f"{text.rstrip('.')}. It is tried again.")


def platform_synced(workspace: Workspace) -> Finding:
    """The registry holds the workspace."""
    return finding(PLATFORM_SYNCED, "Suspended" if workspace.spec.suspend else "Synced")


def platform_not_synced(reason: Literal["PlatformUnavailable", "Refused"], text: str) -> Finding:
    """`text`: what the registry said."""
    return finding(PLATFORM_SYNCED, reason, f"{text.rstrip('.')}. It is tried again.")


def judge_network(workspace: Workspace, enforced: Enforcement, *, in_place: bool) -> Finding:
    """`enforced`: what the operator was told about the cluster's network plug-in; `in_place`: all policies stand."""
    if workspace.spec.namespace.network_policy == "Off":
        return finding(NETWORK_ISOLATED, "PoliciesOff")
    if not in_place:
        return finding(NETWORK_ISOLATED, "Pending")
    names = {"yes": "Enforced", "no": "NotEnforced", "unknown": "EnforcementNotVerified"}
    return finding(NETWORK_ISOLATED, names[enforced], _NETWORK_REMEDY.get(enforced, ""))


_NETWORK_REMEDY = {
    "no": "Policies are in place, but the cluster's network plug-in ignores them: pods can reach each other. "
    "Install one that enforces NetworkPolicy.",
    "unknown": "Policies are in place; whether the cluster's network plug-in enforces them is not known. "
    "Say so with NETWORK_POLICY_ENFORCED=yes or no.",
}


def judge_schema(drifts: Mapping[str, Drift], unseen: Collection[str] = ()) -> Finding:
    """By name of the base; `unseen`: bases of which no schema is known yet."""
    drifted = {name: drift for name, drift in sorted(drifts.items()) if drift}
    if drifted:
        told = ". ".join(f"Base {name}: {drift}" for name, drift in drifted.items())
        message = (
            f"{told}. When that is meant: kubectl annotate basebinding <base> "
            f"{constants.ACCEPT_SCHEMA_ANNOTATION}=<its status.fingerprint> --overwrite"
        )
        return finding(SCHEMA_CURRENT, "SchemaDrifted", message)
    return finding(SCHEMA_CURRENT, "Pending" if unseen else "Current")
