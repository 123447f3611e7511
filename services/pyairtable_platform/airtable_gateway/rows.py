"""Writes of any number of rows: batches of ten, an outcome for every row. Pure but for the calls it is given.

- A batch that Airtable refuses (it takes all of it or nothing) is cut until the bad rows stand alone: good ones are
  written, bad ones are named. Where the refusal names the bad row or field, that saves the cutting.
- Time that runs out leaves the rest NOT_ATTEMPTED; what was done is told.
- A batch whose end is not known is UNKNOWN and ends the write; what was not sent yet is NOT_ATTEMPTED.
- A call that fails as a whole, an unknown table for example, fails the whole write if nothing was written yet.
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from pyairtable_platform.common.errors import DeadlineExceeded, OutcomeUnknown, PyAirtableError, RateLimited

from .answers import Refusal
from .wire import BATCH_SIZE, Json


class RowState(enum.StrEnum):
    """As pyairtable.airtable.v1.RowState."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    NOT_ATTEMPTED = "NOT_ATTEMPTED"


@dataclass(frozen=True, slots=True)
class Row:
    """A row to write. Its position is that in the request."""

    index: int
    record_id: str = ""
    fields: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row was not written."""

    reason: str
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row."""

    index: int
    state: RowState
    record_id: str = ""
    record: Json | None = None
    error: RowError | None = None


class RowsRefused(Exception):
    """Airtable refused a batch because of something in its rows; nothing of it was written."""

    def __init__(self, refusal: Refusal, error: PyAirtableError) -> None:
        super().__init__(error.message)
        self.refusal = refusal
        self.error = error


WriteBatch = Callable[[Sequence[Row]], Awaitable[list[Outcome]]]
"""Writes up to ten rows. Raises RowsRefused, or a typed error when the call failed as a whole."""


class RowWriter:
    """One write of many rows."""

    def __init__(self, write_batch: WriteBatch, rows: Sequence[Row], known: Sequence[Outcome] = ()) -> None:
        """`known` are outcomes of an earlier run of the same write; their rows are left alone."""
        self._write_batch = write_batch
        self._rows = rows
        self._outcomes = {outcome.index: outcome for outcome in known}
        self._waiting: deque[Sequence[Row]] = deque()
        self._refused: PyAirtableError | None = None

    async def write(self) -> list[Outcome]:
        """Write all rows; outcomes in the order of the rows. Raises when nothing at all was written for one cause."""
        rows = [row for row in self._rows if row.index not in self._outcomes]
        self._waiting.extend(rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE))
        while self._waiting:
            batch = self._waiting.popleft()
            try:
                self._note(await self._write_batch(batch))
            except RowsRefused as refused:
                self._sort_out(batch, refused)
            except PyAirtableError as error:
                self._stop(batch, error)
        self._raise_if_all_failed_alike()
        return [self._outcomes[row.index] for row in self._rows]

    def _note(self, outcomes: Sequence[Outcome]) -> None:
        self._outcomes.update({outcome.index: outcome for outcome in outcomes})

    def _sort_out(self, batch: Sequence[Row], refused: RowsRefused) -> None:
        """Fail the rows that must be the bad ones and try the others again, smaller if it is not known which."""
        bad = blamed(batch, refused.refusal)
        if not bad and len(batch) > 1:
            middle = len(batch) // 2
            self._waiting.extendleft([batch[middle:], batch[:middle]])
            return
        bad = bad or list(batch)
        self._refused = refused.error
        self._note([failed(row, RowState.FAILED, refused.error) for row in bad])
        bad_ones = {row.index for row in bad}
        if good := [row for row in batch if row.index not in bad_ones]:
            self._waiting.appendleft(good)

    def _stop(self, batch: Sequence[Row], error: PyAirtableError) -> None:
        """End the write: no further call has a better prospect."""
        is_unknown = isinstance(error, OutcomeUnknown)
        if not self._outcomes and not is_unknown:
            raise error
        ran_out = isinstance(error, RateLimited | DeadlineExceeded)
        state = RowState.UNKNOWN if is_unknown else RowState.NOT_ATTEMPTED if ran_out else RowState.FAILED
        self._note([failed(row, state, error) for row in batch])
        # Rows that were never sent are not in doubt: they get what ended the call.
        cause = error.__cause__ if is_unknown and isinstance(error.__cause__, PyAirtableError) else error
        rest = [row for waiting in self._waiting for row in waiting]
        self._note([failed(row, RowState.NOT_ATTEMPTED, cause) for row in rest])
        self._waiting.clear()

    def _raise_if_all_failed_alike(self) -> None:
        """A write of which no row was done for one and the same reason is a failed call."""
        causes = {(outcome.state, outcome.error) for outcome in self._outcomes.values()}
        if len(causes) == 1 and self._refused is not None:
            raise self._refused


def failed(row: Row, state: RowState, error: PyAirtableError) -> Outcome:
    """The outcome of a row that was not written because of an error."""
    violated = error.violations[0].field if error.violations else ""
    name = violated.removeprefix("fields.") if violated.startswith("fields.") else error.metadata.get("field", "")
    return Outcome(row.index, state, row.record_id, error=RowError(str(error.reason), error.message, name))


def blamed(batch: Sequence[Row], refusal: Refusal) -> list[Row]:
    """The rows that must be the cause of a refusal; empty when it does not tell."""
    named = refusal.quoted()
    if refusal.kind == "UNKNOWN_FIELD_NAME":
        return [row for row in batch if named in row.fields]
    if refusal.kind == "ROW_DOES_NOT_EXIST" or "record with ID" in refusal.message:
        return [row for row in batch if row.record_id and row.record_id in refusal.message]
    return []


def summary(outcomes: Sequence[Outcome]) -> Counter[RowState]:
    """How many rows ended in which state."""
    return Counter(outcome.state for outcome in outcomes)
