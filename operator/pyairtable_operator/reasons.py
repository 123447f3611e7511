"""The conditions and every reason they may give: stable words that programs may rely on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NAMESPACE_READY = "NamespaceReady"
CREDENTIALS_VALID = "CredentialsValid"
ACCESS_KEY_ISSUED = "AccessKeyIssued"
BASES_BOUND = "BasesBound"
PLATFORM_SYNCED = "PlatformSynced"
NETWORK_ISOLATED = "NetworkIsolated"
SCHEMA_CURRENT = "SchemaCurrent"
READY = "Ready"
STALLED = "Stalled"
REACHABLE = "Reachable"

WORKSPACE_TYPES = (
    NAMESPACE_READY, CREDENTIALS_VALID, ACCESS_KEY_ISSUED, BASES_BOUND, PLATFORM_SYNCED, NETWORK_ISOLATED,
    SCHEMA_CURRENT,
)  # fmt: skip
"""Conditions of a Workspace besides Ready, in the order in which they block it."""

BINDING_TYPES = (REACHABLE, SCHEMA_CURRENT)
"""Conditions of a BaseBinding besides Ready."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A row of the table of reasons."""

    condition: str
    name: str
    status: str
    doc: str
    blocks: bool = False
    """Ready cannot be True with it."""
    terminal: bool = False
    """Nothing changes until somebody changes something: condition Stalled says so to kstatus."""
    retry_seconds: int | None = None
    """How soon it is worth trying again; None: when something changes, or at the next verification."""


def _true(condition: str, name: str, doc: str) -> Reason:
    return Reason(condition, name, "True", doc)


def _false(
    condition: str,
    name: str,
    doc: str,
    *,
    blocks: bool = False,
    terminal: bool = False,
    retry_seconds: int | None = None,
) -> Reason:
    return Reason(condition, name, "False", doc, blocks, terminal, retry_seconds)


def _unknown(condition: str, name: str, doc: str, *, blocks: bool = False, retry_seconds: int | None = None) -> Reason:
    return Reason(condition, name, "Unknown", doc, blocks, False, retry_seconds)


_TABLE = (
    _true(NAMESPACE_READY, "Ready", "The namespace and all in it are as declared."),
    _unknown(NAMESPACE_READY, "Pending", "Not looked at yet.", blocks=True, retry_seconds=1),
    _false(NAMESPACE_READY, "InvalidSpec", "The spec holds a value that cannot be used.", blocks=True, terminal=True),
    _false(
        NAMESPACE_READY,
        "NameNotAllowed",
        "The namespace is the cluster's or the platform's own.",
        blocks=True,
        terminal=True,
    ),
    _false(
        NAMESPACE_READY,
        "NamespaceNotOurs",
        "A namespace of this name was there and is not the workspace's.",
        blocks=True,
        terminal=True,
    ),
    _false(
        NAMESPACE_READY,
        "NamespaceTerminating",
        "The namespace is being deleted; it is made anew when it is gone.",
        blocks=True,
        retry_seconds=5,
    ),
    _false(
        NAMESPACE_READY,
        "QuotaExceeded",
        "The namespace's own quota does not let the operator make what it needs.",
        blocks=True,
        retry_seconds=60,
    ),
    _false(
        NAMESPACE_READY,
        "Conflict",
        "Another server-side applier declares a field of ours with another value.",
        blocks=True,
        retry_seconds=60,
    ),
    _false(NAMESPACE_READY, "ApplyFailed", "The API server refused an object.", blocks=True, retry_seconds=15),
    _true(CREDENTIALS_VALID, "Verified", "Airtable accepted the token."),
    _true(CREDENTIALS_VALID, "NotNeeded", "The workspace declares no base and no token."),
    _unknown(CREDENTIALS_VALID, "Pending", "Not verified yet.", blocks=True, retry_seconds=1),
    _false(CREDENTIALS_VALID, "NoCredentialRef", "Bases are declared, a token is not.", blocks=True),
    _false(
        CREDENTIALS_VALID, "SecretNotUsable", "The Secret is missing, has not opted in, or lacks the key.", blocks=True
    ),
    _false(
        CREDENTIALS_VALID, "SecretForAnotherWorkspace", "The Secret has opted in to another workspace.", blocks=True
    ),
    _false(CREDENTIALS_VALID, "SecretEmpty", "The Secret's key holds nothing.", blocks=True),
    _false(CREDENTIALS_VALID, "TokenRejected", "Airtable refused the token.", blocks=True),
    _false(CREDENTIALS_VALID, "ScopesMissing", "The token lacks scopes that the bases need.", blocks=True),
    _unknown(
        CREDENTIALS_VALID,
        "RotationPending",
        "A new token waits to be verified; the one before stays in use.",
        retry_seconds=15,
    ),
    _false(CREDENTIALS_VALID, "RotationRejected", "Airtable refused the new token; the one before stays in use."),
    _unknown(CREDENTIALS_VALID, "AirtableUnavailable", "Airtable could not be asked.", blocks=True, retry_seconds=30),
    _unknown(
        CREDENTIALS_VALID,
        "GatewayUnavailable",
        "The airtable-gateway could not be asked.",
        blocks=True,
        retry_seconds=10,
    ),
    _true(ACCESS_KEY_ISSUED, "Issued", "The key stands in the Secret and the platform knows it."),
    _true(ACCESS_KEY_ISSUED, "Rotating", "A new key was issued; the one before works until the overlap ends."),
    _unknown(ACCESS_KEY_ISSUED, "Pending", "Not issued yet.", blocks=True, retry_seconds=1),
    _false(
        ACCESS_KEY_ISSUED,
        "PlatformUnavailable",
        "The auth service could not be told of the key.",
        blocks=True,
        retry_seconds=10,
    ),
    _false(ACCESS_KEY_ISSUED, "Conflict", "The Secret could not be written.", blocks=True, retry_seconds=15),
    _false(
        ACCESS_KEY_ISSUED,
        "QuotaExceeded",
        "The namespace's own quota leaves no room for the Secret.",
        blocks=True,
        retry_seconds=60,
    ),
    _true(BASES_BOUND, "AllBound", "Airtable confirmed every base with the access declared."),
    _true(BASES_BOUND, "NoBases", "The workspace declares no base."),
    _unknown(BASES_BOUND, "Pending", "Not verified yet.", blocks=True),
    _unknown(BASES_BOUND, "NotVerified", "Airtable could not be asked for a base.", blocks=True, retry_seconds=30),
    _false(BASES_BOUND, "BaseNotFound", "The token does not see a base.", blocks=True),
    _false(BASES_BOUND, "BaseReadOnly", "The token may do less in a base than is declared.", blocks=True),
    _false(BASES_BOUND, "DuplicateBase", "The tenant binds a base that is bound already."),
    _false(BASES_BOUND, "BaseNotAllowed", "The tenant binds a base that the Workspace does not let him."),
    _true(PLATFORM_SYNCED, "Synced", "The registry holds the workspace as declared."),
    _true(PLATFORM_SYNCED, "Suspended", "The registry refuses the workspace's calls."),
    _unknown(PLATFORM_SYNCED, "Pending", "Not told yet.", blocks=True, retry_seconds=1),
    _false(PLATFORM_SYNCED, "PlatformUnavailable", "The registry could not be told.", blocks=True, retry_seconds=10),
    _false(
        PLATFORM_SYNCED,
        "Refused",
        "The registry refused the workspace: the name belongs to a file or to a call, for example.",
        blocks=True,
        retry_seconds=60,
    ),
    _true(NETWORK_ISOLATED, "Enforced", "Policies are in place and the cluster enforces them."),
    _unknown(NETWORK_ISOLATED, "Pending", "Not in place yet."),
    _unknown(
        NETWORK_ISOLATED, "EnforcementNotVerified", "Policies are in place; whether they are enforced is not known."
    ),
    _false(NETWORK_ISOLATED, "NotEnforced", "Policies are in place; the cluster's network ignores them."),
    _false(NETWORK_ISOLATED, "PoliciesOff", "The spec turns policies off."),
    _true(SCHEMA_CURRENT, "Current", "The tables are as they were when they were accepted."),
    _unknown(SCHEMA_CURRENT, "Pending", "No schema has been seen yet."),
    _false(SCHEMA_CURRENT, "SchemaDrifted", "Tables came, went or changed since they were accepted."),
    _true(REACHABLE, "Reachable", "Airtable confirmed the base with the access declared."),
    _unknown(REACHABLE, "Pending", "Not verified yet.", blocks=True, retry_seconds=1),
    _unknown(REACHABLE, "NotVerified", "Airtable could not be asked.", blocks=True, retry_seconds=30),
    _false(REACHABLE, "BaseNotFound", "The token does not see the base.", blocks=True),
    _false(REACHABLE, "BaseReadOnly", "The token may do less than is declared.", blocks=True),
    _false(REACHABLE, "DuplicateBase", "The base or its name is bound already.", blocks=True),
    _false(REACHABLE, "BaseNotAllowed", "The Workspace does not let the tenant bind this base.", blocks=True),
    _false(REACHABLE, "NoCredential", "The workspace has no usable token.", blocks=True),
    _false(REACHABLE, "InvalidSpec", "The spec holds a value that cannot be used.", blocks=True),
    _true(READY, "Ready", "All of it works."),
    _false(READY, "Suspended", "spec.suspend cuts access; all stays in place."),
    _false(READY, "Deleting", "The workspace is being deleted."),
    _false(READY, "Planned", "Only a plan is shown (annotation pyairtable.dev/plan)."),
)

REASONS: Mapping[tuple[str, str], Reason] = {(row.condition, row.name): row for row in _TABLE}
"""Every reason there is, by condition and name. Ready also gives the reason of the first condition that blocks it."""
