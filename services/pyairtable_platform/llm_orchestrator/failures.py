"""From a reason back to the error: for failed runs and for tools that report errors as data."""

from __future__ import annotations

from collections.abc import Mapping

from pyairtable_platform.common import errors
from pyairtable_platform.common.errors import PyAirtableError, Reason

_CLASSES: dict[type[PyAirtableError], frozenset[Reason]] = {
    errors.NotFound: frozenset(reason for reason in Reason if reason.endswith("_NOT_FOUND")),
    errors.InvalidInput: frozenset(
        {
            Reason.INVALID_INPUT,
            Reason.INVALID_FORMULA,
            Reason.TOO_LARGE,
            Reason.PAGE_TOKEN_INVALID,
            Reason.WORKSPACE_REQUIRED,
            Reason.BASE_REQUIRED,
            Reason.LETTER_TOKEN_INVALID,
        }
    ),
    errors.Unauthenticated: frozenset({Reason.UNAUTHENTICATED}),
    errors.Denied: frozenset({Reason.DENIED, Reason.BASE_READ_ONLY, Reason.WORKSPACE_SUSPENDED}),
    errors.FailedPrecondition: frozenset(
        {
            Reason.AIRTABLE_TOKEN_REJECTED,
            Reason.CREDENTIAL_MISSING,
            Reason.MODEL_KEY_REJECTED,
            Reason.CONFLICT,
            Reason.IDEMPOTENCY_KEY_REUSED,
            Reason.OWNED_ELSEWHERE,
            Reason.MODEL_REFUSED,
        }
    ),
    errors.Conflict: frozenset({Reason.SESSION_BUSY}),
    errors.RateLimited: frozenset({Reason.RATE_LIMITED}),
    errors.QuotaExhausted: frozenset({Reason.QUOTA_EXHAUSTED, Reason.TURN_LIMIT}),
    errors.Unavailable: frozenset(
        {Reason.AIRTABLE_UNAVAILABLE, Reason.MODEL_UNAVAILABLE, Reason.DEPENDENCY_UNAVAILABLE}
    ),
    errors.DeadlineExceeded: frozenset({Reason.DEADLINE}),
    errors.OutcomeUnknown: frozenset({Reason.WRITE_OUTCOME_UNKNOWN}),
    errors.Cancelled: frozenset({Reason.RUN_CANCELLED}),
    errors.Internal: frozenset({Reason.INTERNAL}),
}


def error_of(reason: str, message: str, metadata: Mapping[str, str] | None = None) -> PyAirtableError:
    """The error that has this reason; Internal for one that we do not know."""
    known = Reason(reason) if reason in Reason.__members__ else Reason.INTERNAL
    cls = next(cls for cls, reasons in _CLASSES.items() if known in reasons)
    error = cls(message, reason=known)
    error.metadata.update(metadata or {})
    return error
