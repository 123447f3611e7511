"""The tools' Gateway over gRPC: airtable-gateway's messages to plain values and back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

from google.protobuf.struct_pb2 import Struct

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.values import dict_to_struct, from_timestamp, struct_to_dict
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import record_pb2, schema_pb2
from pyairtable_protos.airtable.v1.airtable_gateway_service_pb2_grpc import AirtableGatewayServiceStub

from .model import (
    Base,
    BaseRef,
    BaseSchema,
    Cells,
    Field,
    NewField,
    NewTable,
    Page,
    Record,
    RecordQuery,
    RowError,
    RowOutcome,
    RowState,
    RowUpdate,
    Table,
    TableRef,
    View,
    WriteOptions,
)

_STREAM_SECONDS = 3600.0
"""A stream is bounded by its reader; outside of a call with a deadline, by an hour."""

_STATES: dict[int, RowState] = {
    record_pb2.ROW_STATE_CREATED: "created",
    record_pb2.ROW_STATE_UPDATED: "updated",
    record_pb2.ROW_STATE_DELETED: "deleted",
    record_pb2.ROW_STATE_FAILED: "failed",
    record_pb2.ROW_STATE_UNKNOWN: "unknown",
    record_pb2.ROW_STATE_NOT_ATTEMPTED: "not_attempted",
}


class GrpcGateway:
    """Implements model.Gateway."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = AirtableGatewayServiceStub(channel.channel)

    async def list_bases(self, workspace: str) -> list[Base]:
        answer = await self._channel.call(self._stub.ListBases, rpc.ListBasesRequest(workspace=workspace))
        return [
            Base(base.id, base.name, base.permission_level, base.binding, base.is_default, base.access)
            for base in answer.bases
        ]

    async def get_schema(self, base: BaseRef) -> BaseSchema:
        request = rpc.GetBaseSchemaRequest(**_base(base))
        answer = await self._channel.call(self._stub.GetBaseSchema, request)
        return BaseSchema(answer.base_id, tuple(map(to_table, answer.tables)))

    async def create_table(self, base: BaseRef, table: NewTable) -> Table:
        fields = map(_new_field, table.fields)
        new = schema_pb2.NewTable(name=table.name, description=table.description, fields=fields)
        answer = await self._channel.call(self._stub.CreateTable, rpc.CreateTableRequest(**_base(base), table=new))
        return to_table(answer.table)

    async def create_field(self, table: TableRef, new: NewField) -> Field:
        request = rpc.CreateFieldRequest(**_table(table), field=_new_field(new))
        return to_field((await self._channel.call(self._stub.CreateField, request)).field)

    async def list_records(self, table: TableRef, query: RecordQuery) -> Page:
        request = rpc.ListRecordsRequest(**_table(table), **_query(query))
        answer = await self._channel.call(self._stub.ListRecords, request)
        return Page(tuple(map(to_record, answer.records)), answer.next_page_token)

    async def stream_records(self, table: TableRef, query: RecordQuery) -> AsyncGenerator[Page, None]:
        request = rpc.StreamRecordsRequest(**_table(table), **_query(query))
        async for answer in self._channel.stream(self._stub.StreamRecords, request, timeout=_STREAM_SECONDS):
            yield Page(tuple(map(to_record, answer.records)), answer.next_page_token)

    async def get_record(self, table: TableRef, record_id: str) -> Record:
        request = rpc.GetRecordRequest(**_table(table), record_id=record_id)
        return to_record((await self._channel.call(self._stub.GetRecord, request)).record)

    async def create_records(self, table: TableRef, rows: Sequence[Cells], options: WriteOptions) -> list[RowOutcome]:
        records = [record_pb2.NewRecord(fields=_cells(row, at)) for at, row in enumerate(rows)]
        request = rpc.CreateRecordsRequest(**_table(table), records=records, **_options(options))
        return _outcomes(await self._channel.call(self._stub.CreateRecords, request))

    async def update_records(
        self, table: TableRef, rows: Sequence[RowUpdate], options: WriteOptions
    ) -> list[RowOutcome]:
        request = rpc.UpdateRecordsRequest(**_table(table), records=_updates(rows), **_options(options))
        return _outcomes(await self._channel.call(self._stub.UpdateRecords, request))

    async def upsert_records(
        self, table: TableRef, rows: Sequence[RowUpdate], merge_on: Sequence[str], options: WriteOptions
    ) -> list[RowOutcome]:
        request = rpc.UpsertRecordsRequest(
            **_table(table), records=_updates(rows), fields_to_merge_on=merge_on, **_options(options)
        )
        return _outcomes(await self._channel.call(self._stub.UpsertRecords, request))

    async def delete_records(
        self, table: TableRef, record_ids: Sequence[str], options: WriteOptions
    ) -> list[RowOutcome]:
        request = rpc.DeleteRecordsRequest(
            **_table(table), record_ids=record_ids, idempotency_key=options.idempotency_key
        )
        return _outcomes(await self._channel.call(self._stub.DeleteRecords, request))


def to_table(table: schema_pb2.Table) -> Table:
    return Table(
        id=table.id,
        name=table.name,
        primary_field_id=table.primary_field_id,
        fields=tuple(map(to_field, table.fields)),
        description=table.description,
        views=tuple(View(view.id, view.name, view.type) for view in table.views),
    )


def to_field(field: schema_pb2.Field) -> Field:
    return Field(field.id, field.name, field.type, field.description, struct_to_dict(field.options))


def to_record(record: record_pb2.Record) -> Record:
    created = from_timestamp(record.created_time).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Record(record.id, created, struct_to_dict(record.fields))


def to_outcome(outcome: record_pb2.RowOutcome) -> RowOutcome:
    error = None
    if outcome.HasField("error"):
        error = RowError(outcome.error.reason, outcome.error.message, outcome.error.field)
    # A state that a newer gateway knows and we do not is not taken for success.
    state = _STATES.get(outcome.state, "unknown")
    record = to_record(outcome.record) if outcome.HasField("record") else None
    return RowOutcome(outcome.index, state, outcome.record_id, record, error)


def _outcomes(answer: Any) -> list[RowOutcome]:
    return [to_outcome(outcome) for outcome in answer.outcomes]


def _base(base: BaseRef) -> dict[str, Any]:
    return {"workspace": base.workspace, "base_id": base.base_id}


def _table(table: TableRef) -> dict[str, Any]:
    return {**_base(table.base), "table_id": table.table_id}


def _query(query: RecordQuery) -> dict[str, Any]:
    return {
        "page_size": query.page_size,
        "page_token": query.page_token,
        "max_records": query.max_records,
        "view": query.view,
        "filter_by_formula": query.formula,
        "sort": [record_pb2.Sort(field=key.field, direction=key.direction) for key in query.sort],
        "fields": query.fields,
        "as_text": query.as_text,
        "time_zone": query.time_zone,
        "user_locale": query.user_locale,
    }


def _options(options: WriteOptions) -> dict[str, Any]:
    return {"typecast": options.typecast, "idempotency_key": options.idempotency_key}


def _updates(rows: Sequence[RowUpdate]) -> Iterable[record_pb2.RecordUpdate]:
    return [record_pb2.RecordUpdate(id=row.id, fields=_cells(row.fields, at)) for at, row in enumerate(rows)]


def _cells(cells: Cells, at: int) -> Struct:
    try:
        return dict_to_struct(cells)
    except ValueError as error:  # json_format.ParseError among them: not a JSON value, or nested too deep
        raise InvalidInput.at(f"records[{at}].fields", "holds a value that JSON cannot carry") from error


def _new_field(field: NewField) -> schema_pb2.NewField:
    return schema_pb2.NewField(
        name=field.name,
        type=field.type,
        description=field.description,
        options=dict_to_struct(field.options) if field.options else None,
    )
