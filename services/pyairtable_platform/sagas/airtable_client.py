"""ports.Airtable: the gateway to Airtable over gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import (
    Denied,
    FailedPrecondition,
    NotFound,
    PyAirtableError,
    RateLimited,
    Reason,
    Unavailable,
)
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_platform.common.workspace import Workspace
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import record_pb2
from pyairtable_protos.airtable.v1.airtable_gateway_service_pb2_grpc import AirtableGatewayServiceStub
from pyairtable_protos.common.v1 import error_reason_pb2
from pyairtable_protos.workspaces.v1 import workspace_pb2

from .model import Json
from .ports import FieldOf, Row, TableOf, TableSchema, VerifiedBase, Written

VERIFY_SECONDS = 35.0
ROWS_SECONDS = 600.0

_ERRORS: dict[Reason, type[PyAirtableError]] = {
    Reason.BASE_NOT_FOUND: NotFound,
    Reason.DENIED: Denied,
    Reason.AIRTABLE_UNAVAILABLE: Unavailable,
    Reason.RATE_LIMITED: RateLimited,
}


class GrpcAirtable:
    """The gateway to Airtable."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = AirtableGatewayServiceStub(channel.channel)

    async def verify(self, workspace: Workspace, base_id: str) -> VerifiedBase:
        secret = workspace.airtable_secret
        # One that names no token uses the installation's own; the gateway knows whether there is one.
        credential = workspace_pb2.SecretRef()
        if secret is not None:
            credential = workspace_pb2.SecretRef(name=secret.name, key=secret.key, version=secret.version)
        request = rpc.VerifyBindingsRequest(workspace=workspace.name, credential=credential, base_ids=[base_id])
        base = (await self._channel.call(self._stub.VerifyBindings, request, timeout=VERIFY_SECONDS)).bases[0]
        if base.reason:
            name = error_reason_pb2.ErrorReason.Name(base.reason).removeprefix("ERROR_REASON_")
            raise _ERRORS.get(Reason(name), FailedPrecondition)(base.problem, reason=Reason(name), base=base_id)
        tables = tuple((table.id, table.name) for table in base.tables)
        return VerifiedBase(base.base_id, base.name, base.permission_level, tables)

    async def prime(self, workspace: str, base_id: str) -> int:
        request = rpc.GetBaseSchemaRequest(workspace=workspace, base_id=base_id)
        return len((await self._channel.call(self._stub.GetBaseSchema, request, timeout=VERIFY_SECONDS)).tables)

    async def table(self, table: TableOf) -> TableSchema:
        request = rpc.GetBaseSchemaRequest(workspace=table.workspace, base_id=table.base)
        answer = await self._channel.call(self._stub.GetBaseSchema, request, timeout=VERIFY_SECONDS)
        for found in answer.tables:
            if table.table in (found.id, found.name):
                fields = (FieldOf(item.id, item.name, item.type, struct_to_dict(item.options)) for item in found.fields)
                return TableSchema(found.id, found.name, tuple(fields))
        text = f"base {table.base} has no table {table.table}"
        raise NotFound(text, reason=Reason.TABLE_NOT_FOUND, base=table.base, table=table.table)

    async def rows(self, table: TableOf, fields: Sequence[str]) -> list[Row]:
        request = rpc.StreamRecordsRequest(**_of(table), fields=fields, page_size=1000)
        return [
            Row(record.id, struct_to_dict(record.fields))
            async for page in self._channel.stream(self._stub.StreamRecords, request, timeout=ROWS_SECONDS)
            for record in page.records
        ]

    async def create(self, table: TableOf, rows: Sequence[Json], key: str, *, typecast: bool) -> list[Written]:
        records = [record_pb2.NewRecord(fields=dict_to_struct(row)) for row in rows]
        request = rpc.CreateRecordsRequest(**_of(table), records=records, typecast=typecast, idempotency_key=key)
        return await self._write(self._stub.CreateRecords, request)

    async def update(self, table: TableOf, rows: Sequence[Row], key: str, *, typecast: bool) -> list[Written]:
        records = [record_pb2.RecordUpdate(id=row.id, fields=dict_to_struct(row.cells)) for row in rows]
        request = rpc.UpdateRecordsRequest(**_of(table), records=records, typecast=typecast, idempotency_key=key)
        return await self._write(self._stub.UpdateRecords, request)

    async def delete(self, table: TableOf, ids: Sequence[str], key: str) -> list[Written]:
        request = rpc.DeleteRecordsRequest(**_of(table), record_ids=ids, idempotency_key=key)
        return await self._write(self._stub.DeleteRecords, request)

    async def _write(self, method: Any, request: Any) -> list[Written]:
        answer = await self._channel.call(method, request, timeout=ROWS_SECONDS)
        outcomes = sorted(answer.outcomes, key=lambda outcome: outcome.index)
        return [Written(item.record_id, _state(item.state), item.error.message) for item in outcomes]


def _of(table: TableOf) -> dict[str, Any]:
    return {"workspace": table.workspace, "base_id": table.base, "table_id": table.table}


def _state(value: Any) -> str:
    return record_pb2.RowState.Name(value).removeprefix("ROW_STATE_").lower()
