"""Writes of records: create, update, upsert, delete, with an outcome for every row and at most one effect."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from pyairtable_platform.common.errors import InvalidInput, OutcomeUnknown, PyAirtableError, Unavailable

from . import metrics
from .access import Need
from .calls import AirtableCalls
from .idempotency import Journal, KeyedWrites, WriteKey, request_hash
from .plans import Create, Delete, Plan, Update, WriteOptions
from .reported import Reported
from .rows import Outcome, Row, RowsRefused, RowWriter
from .service import GatewayService, errand_for
from .wire import Json

log = logging.getLogger(__name__)

_ANSWER_MARGIN_SECONDS = 0.5
"""Kept from the caller's deadline, so that the outcomes of what was written still reach it."""


class RecordWrites:
    """The four writes. Each returns the outcomes in the order of its rows, or raises when nothing was written."""

    def __init__(
        self, *, service: GatewayService, calls: AirtableCalls, keyed: KeyedWrites, reported: Reported
    ) -> None:
        self._service = service
        self._calls = calls
        self._keyed = keyed
        self._reported = reported

    async def create(
        self, workspace: str, base: str, table: str, rows: Sequence[Json], options: WriteOptions
    ) -> list[Outcome]:
        numbered = [Row(index, fields=fields) for index, fields in enumerate(rows)]
        return await self._write(Create, workspace, base, table, numbered, options)

    async def update(
        self, workspace: str, base: str, table: str, rows: Sequence[tuple[str, Json]], options: WriteOptions
    ) -> list[Outcome]:
        """Update rows by id, or upsert them when options name fields to merge on."""
        numbered = [Row(index, record_id, fields) for index, (record_id, fields) in enumerate(rows)]
        _require_ids(numbered, "records[{}].id", may_be_empty=bool(options.merge_on))
        return await self._write(Update, workspace, base, table, numbered, options)

    async def delete(
        self, workspace: str, base: str, table: str, record_ids: Sequence[str], options: WriteOptions
    ) -> list[Outcome]:
        numbered = [Row(index, record_id) for index, record_id in enumerate(record_ids)]
        _require_ids(numbered, "record_ids[{}]", may_be_empty=False)
        return await self._write(Delete, workspace, base, table, numbered, options)

    async def _write(
        self, kind: type[Plan], workspace: str, base: str, table: str, rows: Sequence[Row], options: WriteOptions
    ) -> list[Outcome]:
        where = await self._service.table(workspace, base, table, Need.WRITE)
        errand = errand_for(where.workspace, _ANSWER_MARGIN_SECONDS)
        _require_storable(options.idempotency_key)
        plan = kind(where, options, self._calls, self._service, errand, self._reported)
        if not options.idempotency_key:
            outcomes = await RowWriter(plan.write_batch, rows).write()
        else:
            parts = [where.base_id, table, [[row.record_id, row.fields] for row in rows], options]
            key = WriteKey(where.workspace.tenant, options.idempotency_key, request_hash(kind.__name__, *parts))
            outcomes = await self._keyed.once(key, lambda journal: _journaled(plan, rows, journal))
        for outcome in outcomes:
            metrics.ROWS.labels(str(outcome.state)).inc()
        return outcomes


async def _journaled(plan: Plan, rows: Sequence[Row], journal: Journal) -> list[Outcome]:
    """Write what an earlier run with the same key has not written, and note every step."""
    known = await _known(plan, rows, journal)

    async def write_batch(batch: Sequence[Row]) -> list[Outcome]:
        number = await journal.sending(batch, datetime.now(UTC))
        try:
            outcomes = await plan.write_batch(batch)
        except OutcomeUnknown:
            raise  # the batch stays open, so that a run that takes over looks at it
        except (RowsRefused, PyAirtableError):
            await _note(journal, number, [])  # nothing was written, or nothing that a repeat could do twice
            raise
        await _note(journal, number, outcomes)
        return outcomes

    return await RowWriter(write_batch, rows, known).write()


async def _known(plan: Plan, rows: Sequence[Row], journal: Journal) -> list[Outcome]:
    """Outcomes of an earlier run; its batch that was on its way is looked up."""
    by_index = {row.index: row for row in rows}
    known: dict[int, Outcome] = {}
    for batch in journal.earlier:
        known |= {outcome.index: outcome for outcome in batch.outcomes or ()}
    plan.made |= {outcome.record_id for outcome in known.values() if outcome.record_id}
    for batch in journal.earlier:
        open_rows = [by_index[index] for index in batch.indexes if index not in known]
        if batch.outcomes is None and open_rows:
            known |= {outcome.index: outcome for outcome in await plan.recover(open_rows, batch.sent_at)}
    return list(known.values())


async def _note(journal: Journal, number: int, outcomes: Sequence[Outcome]) -> None:
    """Note a batch that is done. If that fails the caller learns the outcome all the same; a repeat looks it up."""
    try:
        await journal.ended(number, outcomes)
    except Unavailable:
        log.warning("the outcome of a batch could not be noted", extra={"rows": len(outcomes)})


def _require_storable(key: str) -> None:
    if "\0" in key:
        raise InvalidInput.at("idempotency_key", "it must not hold the character U+0000")


def _require_ids(rows: Sequence[Row], where: str, *, may_be_empty: bool) -> None:
    """Each row names a record, and none twice: Airtable refuses both, with less clear words."""
    seen: set[str] = set()
    for row in rows:
        if not row.record_id and may_be_empty:
            continue
        if not row.record_id:
            raise InvalidInput.at(where.format(row.index), "an id is needed")
        if row.record_id in seen:
            raise InvalidInput.at(where.format(row.index), f'"{row.record_id}" stands there twice')
        seen.add(row.record_id)
