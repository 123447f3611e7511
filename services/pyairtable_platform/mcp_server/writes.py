"""What a write came to: counts and outcomes for results, and an error when nothing was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from pyairtable_platform.common import errors
from pyairtable_platform.common.errors import FieldViolation, PyAirtableError, Reason

from .model import Record, RowError, RowOutcome, RowState
from .tool import Result

_MAX_ERRORS = 100

_CLASSES: dict[Reason, type[PyAirtableError]] = {
    Reason.RECORD_NOT_FOUND: errors.NotFound,
    Reason.FIELD_NOT_FOUND: errors.NotFound,
    Reason.TABLE_NOT_FOUND: errors.NotFound,
    Reason.BASE_NOT_FOUND: errors.NotFound,
    Reason.INVALID_INPUT: errors.InvalidInput,
    Reason.TOO_LARGE: errors.InvalidInput,
    Reason.DENIED: errors.Denied,
    Reason.BASE_READ_ONLY: errors.Denied,
    Reason.AIRTABLE_TOKEN_REJECTED: errors.FailedPrecondition,
    Reason.CREDENTIAL_MISSING: errors.FailedPrecondition,
    Reason.RATE_LIMITED: errors.RateLimited,
    Reason.QUOTA_EXHAUSTED: errors.QuotaExhausted,
    Reason.AIRTABLE_UNAVAILABLE: errors.Unavailable,
    Reason.DEPENDENCY_UNAVAILABLE: errors.Unavailable,
    Reason.DEADLINE: errors.DeadlineExceeded,
    Reason.WRITE_OUTCOME_UNKNOWN: errors.OutcomeUnknown,
}

_NOTHING_WRITTEN = (
    errors.NotFound,
    errors.InvalidInput,
    errors.Denied,
    errors.Unauthenticated,
    errors.FailedPrecondition,
    errors.RateLimited,
    errors.QuotaExhausted,
)


class RecordResult(Result):
    """A record."""

    id: str = Field(description="Airtable's id (rec...).")
    created_time: str = Field(description="When it was created, ISO 8601 in UTC.")
    fields: dict[str, Any] = Field(description="Cells by field name; empty cells are absent.")

    @classmethod
    def of(cls, record: Record) -> RecordResult:
        return cls(id=record.id, created_time=record.created_time, fields=record.fields)


class WriteCounts(Result):
    """How many rows came to what; the counts add up to the rows that were sent."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    failed: int = Field(default=0, description="Refused: nothing was written.")
    unknown: int = Field(default=0, description="Sent without an answer: look before repeating.")
    not_attempted: int = Field(default=0, description="Not sent, because time was up: repeat them.")

    @classmethod
    def of(cls, outcomes: Sequence[RowOutcome]) -> WriteCounts:
        counts = Counter(outcome.state for outcome in outcomes)
        return cls(**{str(state): count for state, count in counts.items()})


class RowResult(Result):
    """What became of one row."""

    index: int = Field(description="Its position in the request, from 0.")
    state: RowState
    record_id: str = ""
    reason: str = Field(default="", description="Why it was not written; empty when it was.")
    message: str = ""
    field: str = Field(default="", description="The cell that is wrong, where known.")

    @classmethod
    def of(cls, outcome: RowOutcome) -> RowResult:
        problem = outcome.error
        if problem is None:
            return cls(index=outcome.index, state=outcome.state, record_id=outcome.record_id)
        return cls(
            index=outcome.index,
            state=outcome.state,
            record_id=outcome.record_id,
            reason=problem.reason,
            message=problem.message,
            field=problem.field,
        )


def require_some(outcomes: Sequence[RowOutcome]) -> None:
    """Raise the typed error of the first row when no row was written: that is a failure, not a result."""
    if not outcomes or any(outcome.done for outcome in outcomes):
        return
    # A write that may have happened matters more to the caller than one that surely did not.
    outcome = next((item for item in outcomes if item.state == "unknown"), outcomes[0])
    violations = [
        FieldViolation(f"records[{item.index}]", item.error.message)
        for item in outcomes[:_MAX_ERRORS]
        if item.error is not None
    ]
    raise row_error(outcome, violations if len(outcomes) > 1 else _cell_violation(outcome))


def the_record(outcomes: Sequence[RowOutcome]) -> Record:
    """The record of a write of one row, or its error."""
    require_some(outcomes)
    if not outcomes or outcomes[0].record is None:
        raise errors.Internal("the gateway returned no record for a written row")
    return outcomes[0].record


def failed_as_a_whole(error: PyAirtableError, rows: int) -> list[RowOutcome]:
    """Outcomes of a write that raised: known to have written nothing, or not known."""
    refused = isinstance(error, _NOTHING_WRITTEN)
    state: RowState = "failed" if refused else "unknown"
    return [RowOutcome(at, state, error=RowError(str(error.reason), error.message)) for at in range(rows)]


def row_error(outcome: RowOutcome, violations: Sequence[FieldViolation] = ()) -> PyAirtableError:
    """The outcome of a row that was not written as the error it is."""
    if outcome.state == "unknown":
        fallback = Reason.WRITE_OUTCOME_UNKNOWN
    else:
        fallback = Reason.DEADLINE if outcome.state == "not_attempted" else Reason.INVALID_INPUT
    offered = outcome.error.reason if outcome.error else ""
    reason = Reason(offered) if offered in Reason.__members__ else fallback
    message = outcome.error.message if outcome.error else _STATE_TEXT[outcome.state]
    if outcome.state == "unknown":
        return errors.OutcomeUnknown(message, reason=Reason.WRITE_OUTCOME_UNKNOWN, violations=violations)
    return _CLASSES.get(reason, errors.FailedPrecondition)(message, reason=reason, violations=violations)


def _cell_violation(outcome: RowOutcome) -> list[FieldViolation]:
    if outcome.error is None or not outcome.error.field:
        return []
    return [FieldViolation(f"fields.{outcome.error.field}", outcome.error.message)]


_STATE_TEXT: dict[str, str] = {
    "failed": "Airtable refused the row",
    "unknown": "the row was sent and no answer came: look whether it is there before repeating it",
    "not_attempted": "the call ended before the row's turn: repeat it",
}
