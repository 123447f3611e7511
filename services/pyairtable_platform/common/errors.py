"""The errors of the platform. Rules raise them; one place (`status.py`) maps them to gRPC and HTTP.

PyAirtableError
├── NotFound              (LookupError)       NOT_FOUND            404
├── InvalidInput          (ValueError)        INVALID_ARGUMENT     400   with the field
├── Unauthenticated       (PermissionError)   UNAUTHENTICATED      401
├── Denied                (PermissionError)   PERMISSION_DENIED    403
├── FailedPrecondition                        FAILED_PRECONDITION  409
├── Conflict                                  ABORTED              409
├── RateLimited                               RESOURCE_EXHAUSTED   429   with the wait
├── QuotaExhausted                            RESOURCE_EXHAUSTED   429   do not repeat
├── Unavailable           (ConnectionError)   UNAVAILABLE          503
├── DeadlineExceeded      (TimeoutError)      DEADLINE_EXCEEDED    504
├── OutcomeUnknown                            UNKNOWN              502   a write may have happened
├── Cancelled                                 CANCELLED            499
└── Internal                                  INTERNAL             500
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass


class Reason(enum.StrEnum):
    """Why a call failed: pyairtable.common.v1.ErrorReason without its prefix. docs/errors.md explains each."""

    WORKSPACE_NOT_FOUND = "WORKSPACE_NOT_FOUND"
    BASE_NOT_FOUND = "BASE_NOT_FOUND"
    TABLE_NOT_FOUND = "TABLE_NOT_FOUND"
    FIELD_NOT_FOUND = "FIELD_NOT_FOUND"
    VIEW_NOT_FOUND = "VIEW_NOT_FOUND"
    RECORD_NOT_FOUND = "RECORD_NOT_FOUND"
    COMMENT_NOT_FOUND = "COMMENT_NOT_FOUND"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    RUN_NOT_FOUND = "RUN_NOT_FOUND"
    TOOL_NOT_FOUND = "TOOL_NOT_FOUND"
    ACCESS_KEY_NOT_FOUND = "ACCESS_KEY_NOT_FOUND"
    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    LOGIN_NOT_FOUND = "LOGIN_NOT_FOUND"
    API_KEY_NOT_FOUND = "API_KEY_NOT_FOUND"
    USER_NOT_FOUND = "USER_NOT_FOUND"
    MEMBER_NOT_FOUND = "MEMBER_NOT_FOUND"
    INVITATION_NOT_FOUND = "INVITATION_NOT_FOUND"
    SAGA_NOT_FOUND = "SAGA_NOT_FOUND"
    SAGA_TYPE_NOT_FOUND = "SAGA_TYPE_NOT_FOUND"
    TEMPLATE_NOT_FOUND = "TEMPLATE_NOT_FOUND"
    ROUTE_NOT_FOUND = "ROUTE_NOT_FOUND"
    INVALID_INPUT = "INVALID_INPUT"
    INVALID_FORMULA = "INVALID_FORMULA"
    TOO_LARGE = "TOO_LARGE"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"  # noqa: S105 - a reason, not a secret
    WORKSPACE_REQUIRED = "WORKSPACE_REQUIRED"
    BASE_REQUIRED = "BASE_REQUIRED"
    LETTER_TOKEN_INVALID = "LETTER_TOKEN_INVALID"  # noqa: S105 - a reason, not a secret
    UNAUTHENTICATED = "UNAUTHENTICATED"
    DENIED = "DENIED"
    BASE_READ_ONLY = "BASE_READ_ONLY"
    WORKSPACE_SUSPENDED = "WORKSPACE_SUSPENDED"
    AIRTABLE_TOKEN_REJECTED = "AIRTABLE_TOKEN_REJECTED"  # noqa: S105 - a reason, not a secret
    CREDENTIAL_MISSING = "CREDENTIAL_MISSING"
    MODEL_KEY_REJECTED = "MODEL_KEY_REJECTED"
    CONFLICT = "CONFLICT"
    SESSION_BUSY = "SESSION_BUSY"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    OWNED_ELSEWHERE = "OWNED_ELSEWHERE"
    RATE_LIMITED = "RATE_LIMITED"
    QUOTA_EXHAUSTED = "QUOTA_EXHAUSTED"
    AIRTABLE_UNAVAILABLE = "AIRTABLE_UNAVAILABLE"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    DEPENDENCY_UNAVAILABLE = "DEPENDENCY_UNAVAILABLE"
    DEADLINE = "DEADLINE"
    WRITE_OUTCOME_UNKNOWN = "WRITE_OUTCOME_UNKNOWN"
    MODEL_REFUSED = "MODEL_REFUSED"
    TURN_LIMIT = "TURN_LIMIT"
    RUN_CANCELLED = "RUN_CANCELLED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True)
class FieldViolation:
    """A field of a request that is wrong. `field` is a path such as `records[3].fields`."""

    field: str
    description: str


class PyAirtableError(Exception):
    """Base of every error that a caller may see: a message that names the thing and the remedy, and a reason.

    `metadata` goes to the caller as google.rpc.ErrorInfo.metadata and as members of problem+json: names and ids only,
    never a secret and never contents.
    """

    default_reason = Reason.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        reason: Reason | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after: float | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.violations = tuple(violations)
        self.retry_after = retry_after  # seconds
        self.metadata = metadata


class NotFound(PyAirtableError, LookupError):
    """The thing that the caller named is not there, or not for this caller. Give the fitting reason."""

    default_reason = Reason.ROUTE_NOT_FOUND


class InvalidInput(PyAirtableError, ValueError):
    """The request itself is wrong and will be on every repeat."""

    default_reason = Reason.INVALID_INPUT

    @classmethod
    def at(cls, field: str, description: str, *, reason: Reason | None = None) -> InvalidInput:
        """The common case: one field is wrong."""
        violation = FieldViolation(field, description)
        return cls(f"{field}: {description}", reason=reason, violations=[violation])


class Unauthenticated(PyAirtableError, PermissionError):
    """The caller showed no credential, or one that is not accepted."""

    default_reason = Reason.UNAUTHENTICATED


class Denied(PyAirtableError, PermissionError):
    """We know the caller, and the answer is no."""

    default_reason = Reason.DENIED


class FailedPrecondition(PyAirtableError):
    """Something must be mended first, for example a credential; a repeat alone does not help."""

    default_reason = Reason.CONFLICT


class Conflict(PyAirtableError):
    """Somebody else is at it; a repeat may work."""

    default_reason = Reason.SESSION_BUSY


class RateLimited(PyAirtableError):
    """Too many calls for now. `retry_after` says in how many seconds a repeat makes sense."""

    default_reason = Reason.RATE_LIMITED


class QuotaExhausted(PyAirtableError):
    """A monthly allowance is used up. Never repeated by us."""

    default_reason = Reason.QUOTA_EXHAUSTED


class Unavailable(PyAirtableError, ConnectionError):
    """Something we depend on cannot be reached or answers with errors; nothing was changed."""

    default_reason = Reason.DEPENDENCY_UNAVAILABLE


class DeadlineExceeded(PyAirtableError, TimeoutError):
    """The call could not be completed before its deadline."""

    default_reason = Reason.DEADLINE


class OutcomeUnknown(PyAirtableError):
    """A write was sent and no answer came: look before repeating it."""

    default_reason = Reason.WRITE_OUTCOME_UNKNOWN


class Cancelled(PyAirtableError):
    """Somebody stopped it."""

    default_reason = Reason.RUN_CANCELLED


class Internal(PyAirtableError):
    """A fault of ours. Callers see only the request id that finds it in the logs."""
