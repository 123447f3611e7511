"""How a batch of each kind of write is sent, and what is done when its answer is lost."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pyairtable_platform.common.errors import PyAirtableError, Reason, Unavailable

from . import settle, wire
from .access import Where
from .answers import Refusal
from .calls import AirtableCalls, Doubt, Doubtful, Errand, unknown_outcome
from .explain import explain, find
from .pages import Place, read_page
from .reported import Reported
from .rows import Outcome, Row, RowError, RowsRefused, RowState, blamed
from .service import GatewayService
from .wire import Json

log = logging.getLogger(__name__)

_LOOK_AFTER_SECONDS = (0.5, 2.0)
"""Pauses before looking whether a create happened: a slow one may need a moment to appear."""
_LOOK_AT = 1000
"""Records made since a doubtful create that are looked at, at most."""
_CREATE_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How rows are written and returned."""

    typecast: bool = False
    by_field_id: bool = False
    replace: bool = False
    merge_on: tuple[str, ...] = ()
    idempotency_key: str = ""


@dataclass
class Plan(ABC):
    """One write: how a batch of it is sent, read, and looked up after a doubtful end."""

    where: Where
    options: WriteOptions
    calls: AirtableCalls
    service: GatewayService
    errand: Errand
    reported: Reported
    """Records that any write of this process has reported as made."""
    made: set[str] = field(default_factory=set)
    """Ids of the records that this write has made."""
    doubted: set[str] = field(default_factory=set)
    """Ids of records whose deletion may have happened in an attempt whose answer was lost."""

    @abstractmethod
    async def write_batch(self, batch: Sequence[Row]) -> list[Outcome]:
        """Send a batch. Raises RowsRefused, or a typed error when the call failed as a whole."""

    async def recover(self, batch: Sequence[Row], sent_at: datetime) -> list[Outcome]:
        """What became of a batch that was on its way when an earlier run ended; none when a repeat is harmless."""
        self.doubted |= {row.record_id for row in batch}
        return []

    async def send(self, call: wire.AirtableCall, batch: Sequence[Row], doubt: Doubt | None = None) -> Json:
        """Airtable's answer; its records are as many as the rows of the batch."""
        errand, self.errand = self.errand, self.errand.in_bulk()  # the first batch is what somebody waits for
        try:
            answer = await self.calls.make(call, errand, doubt)
        except Refusal as refusal:
            raise await self._meaning(refusal, batch) from refusal
        if len(answer["records"]) != len(batch):
            doubtful = Doubtful("Airtable's answer holds another number of records than were sent", answered=False)
            raise doubtful if call.effect is wire.Effect.ONCE else unknown_outcome(call.operation, doubtful)
        return answer

    async def _meaning(self, refusal: Refusal, batch: Sequence[Row]) -> PyAirtableError | RowsRefused:
        """Whether a refusal is about rows of the batch or about the call as a whole."""
        error = explain(refusal, self.where.target())
        if error is None:
            target = self.where.target(record_id=batch[0].record_id)
            error = await self.service.explain(refusal, target, self.errand)
        about_rows = refusal.status in (400, 422) or error.reason is Reason.RECORD_NOT_FOUND
        return RowsRefused(refusal, error) if about_rows else error


class Create(Plan):
    async def write_batch(self, batch: Sequence[Row]) -> list[Outcome]:
        rows, options = [row.fields for row in batch], self.options
        call = wire.create_records(
            self.where.base_id, self.where.table, rows, typecast=options.typecast, by_field_id=options.by_field_id
        )
        since: datetime | None = None
        for _ in range(_CREATE_ATTEMPTS):
            try:
                answer = await self.send(call, batch)
                return self._made(done(batch, answer["records"], RowState.CREATED))
            except Doubtful as doubtful:
                since = since or doubtful.since
                found = await self._look(batch, since)
                if found is None or found or not doubtful.answered:
                    return self._made(settled(batch, self._ours(found or {}, since), doubtful.text))
                trouble = doubtful.text
                # Airtable answered with an error and nothing was made: it is done with that call, another is safe.
        raise Unavailable(f"{trouble} (tried {_CREATE_ATTEMPTS} times)", reason=Reason.AIRTABLE_UNAVAILABLE)

    async def recover(self, batch: Sequence[Row], sent_at: datetime) -> list[Outcome]:
        found = await self._look(batch, sent_at)
        found = self._ours(found or {}, sent_at)
        return self._made(settled(batch, found, "the service ended before the answer came"))

    def _ours(self, found: Mapping[int, Json], since: datetime) -> Mapping[int, Json]:
        """Without the records that may have been there before: within the tolerance of the clocks nobody can tell."""
        return {
            index: record
            for index, record in found.items()
            if settle.is_surely_made_since(record, since) and record["id"] not in self.reported
        }

    def _made(self, outcomes: list[Outcome]) -> list[Outcome]:
        made = {outcome.record_id for outcome in outcomes if outcome.record_id}
        self.made |= made
        self.reported.add(made)
        return outcomes

    async def _look(self, batch: Sequence[Row], sent_at: datetime) -> Mapping[int, Json] | None:
        """The records that the batch made, by row; None when one cannot look."""
        found: Mapping[int, Json] = {}
        try:
            fields = await self._fields()
            for pause in _LOOK_AFTER_SECONDS:
                left = self.calls.time_left(self.errand)
                if left is not None and left <= pause:
                    return found or None
                await asyncio.sleep(pause)
                found = await self._records_made_from(batch, sent_at, fields)
                if len(found) == len(batch):
                    break
        except (Refusal, PyAirtableError) as error:
            log.warning("could not look whether records were created", extra={"cause": str(error)})
            return found or None
        return found

    async def _fields(self) -> list[Json]:
        """Fields of the table; none when the token may not read the schema."""
        try:
            tables = (await self.calls.make(wire.base_schema(self.where.base_id), self.errand))["tables"]
        except Refusal:
            return []
        table = find(tables, self.where.table)
        fields: list[Json] = table["fields"] if table else []
        return fields

    async def _records_made_from(
        self, batch: Sequence[Row], sent_at: datetime, fields: Sequence[Json]
    ) -> Mapping[int, Json]:
        shape = wire.Shape(by_field_id=bool(fields) or self.options.by_field_id)
        listing = wire.Listing(formula=settle.since_formula(sent_at), shape=shape)

        async def fetch(size: int, offset: str) -> Json:
            where = self.where
            call = wire.list_records(where.base_id, where.table, listing, page_size=size, offset=offset)
            return await self.calls.make(call, self.errand)

        records, _ = await read_page(fetch, Place(), size=_LOOK_AT, max_records=_LOOK_AT)
        unclaimed = [
            record for record in records if record["id"] not in self.made and record["id"] not in self.reported
        ]
        types = settle.field_types(fields)
        found = settle.match(batch, unclaimed, types, typecast=self.options.typecast)
        if self.options.by_field_id:
            return found
        return {index: settle.by_name(record, fields) for index, record in found.items()}


class Update(Plan):
    """Also upsert. Sent again after a doubtful end: the same cells once more change nothing."""

    async def write_batch(self, batch: Sequence[Row]) -> list[Outcome]:
        options, doubt = self.options, Doubt()
        call = wire.update_records(
            self.where.base_id,
            self.where.table,
            [(row.record_id, row.fields) for row in batch],
            replace_all=options.replace,
            typecast=options.typecast,
            by_field_id=options.by_field_id,
            merge_on=options.merge_on,
        )
        answer = await self.send(call, batch, doubt)
        created = set(answer.get("createdRecords") or ())
        if doubt.since is not None:  # the repeat found what the first attempt had made
            created |= {record["id"] for record in answer["records"] if settle.is_made_since(record, doubt.since)}
        self.reported.add(created)
        return [
            replace(outcome, state=RowState.CREATED) if options.merge_on and outcome.record_id in created else outcome
            for outcome in done(batch, answer["records"], RowState.UPDATED)
        ]


class Delete(Plan):
    async def write_batch(self, batch: Sequence[Row]) -> list[Outcome]:
        doubt = Doubt()
        ids = [row.record_id for row in batch]
        try:
            await self.send(wire.delete_records(self.where.base_id, self.where.table, ids), batch, doubt)
        except RowsRefused as refused:
            if doubt.since is not None:
                self.doubted |= set(ids)
            gone = [row for row in blamed(batch, refused.refusal) if row.record_id in self.doubted]
            if not gone:
                raise
            # Our own first attempt deleted it, and its answer was lost.
            rest = [row for row in batch if row not in gone]
            return [deleted(row) for row in gone] + (await self.write_batch(rest) if rest else [])
        return [deleted(row) for row in batch]


def done(batch: Sequence[Row], records: Sequence[Json], state: RowState) -> list[Outcome]:
    """The outcomes of a batch that was written; Airtable answers in the order of the rows."""
    return [Outcome(row.index, state, record["id"], record) for row, record in zip(batch, records, strict=True)]


def settled(batch: Sequence[Row], found: Mapping[int, Json], doubt: str) -> list[Outcome]:
    """The outcomes of a create that was looked up: found ones are created, of the others nothing is known."""
    message = f"it was sent and {doubt}; looking for it did not settle it: look before repeating it"
    error = RowError(str(Reason.WRITE_OUTCOME_UNKNOWN), message)
    return [
        Outcome(row.index, RowState.CREATED, found[row.index]["id"], found[row.index])
        if row.index in found
        else Outcome(row.index, RowState.UNKNOWN, error=error)
        for row in batch
    ]


def deleted(row: Row) -> Outcome:
    return Outcome(row.index, RowState.DELETED, row.record_id)
