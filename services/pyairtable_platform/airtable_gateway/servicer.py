"""AirtableGatewayService: messages to plain values, a call of the rules, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pyairtable_platform.common.registry import SecretRef
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc

from . import messages
from .service import GatewayService
from .verify import Verifier
from .writes import RecordWrites


class AirtableGatewayServicer:
    """Implements pyairtable.airtable.v1.AirtableGatewayService."""

    def __init__(self, service: GatewayService, writes: RecordWrites, verifier: Verifier) -> None:
        self._service = service
        self._writes = writes
        self._verifier = verifier

    async def ListBases(self, request: rpc.ListBasesRequest, call: Any) -> rpc.ListBasesResponse:
        bases = await self._service.list_bases(request.workspace)
        return rpc.ListBasesResponse(bases=map(messages.from_base, bases))

    async def GetBaseSchema(self, request: rpc.GetBaseSchemaRequest, call: Any) -> rpc.GetBaseSchemaResponse:
        base_id, tables = await self._service.base_schema(request.workspace, request.base_id)
        return rpc.GetBaseSchemaResponse(base_id=base_id, tables=map(messages.from_table, tables))

    async def CreateBase(self, request: rpc.CreateBaseRequest, call: Any) -> rpc.CreateBaseResponse:
        tables = [messages.to_table(table) for table in request.tables]
        base = await self._service.create_base(request.workspace, request.airtable_workspace_id, request.name, tables)
        return rpc.CreateBaseResponse(base_id=base["id"], tables=map(messages.from_table, base.get("tables", [])))

    async def CreateTable(self, request: rpc.CreateTableRequest, call: Any) -> rpc.CreateTableResponse:
        new = messages.to_table(request.table)
        table = await self._service.create_table(request.workspace, request.base_id, new)
        return rpc.CreateTableResponse(table=messages.from_table(table))

    async def UpdateTable(self, request: rpc.UpdateTableRequest, call: Any) -> rpc.UpdateTableResponse:
        changes = messages.to_changes(request)
        table = await self._service.update_table(request.workspace, request.base_id, request.table_id, changes)
        return rpc.UpdateTableResponse(table=messages.from_table(table))

    async def CreateField(self, request: rpc.CreateFieldRequest, call: Any) -> rpc.CreateFieldResponse:
        new = messages.to_field(request.field)
        field = await self._service.create_field(request.workspace, request.base_id, request.table_id, new)
        return rpc.CreateFieldResponse(field=messages.from_field(field))

    async def UpdateField(self, request: rpc.UpdateFieldRequest, call: Any) -> rpc.UpdateFieldResponse:
        changes = messages.to_changes(request)
        field = await self._service.update_field(
            request.workspace, request.base_id, request.table_id, request.field_id, changes
        )
        return rpc.UpdateFieldResponse(field=messages.from_field(field))

    async def ListRecords(self, request: rpc.ListRecordsRequest, call: Any) -> rpc.ListRecordsResponse:
        records, token = await self._service.list_records(
            request.workspace, request.base_id, request.table_id, messages.to_query(request)
        )
        converted = await messages.converted(messages.from_record, records)
        return rpc.ListRecordsResponse(records=converted, next_page_token=token)

    async def StreamRecords(
        self, request: rpc.StreamRecordsRequest, call: Any
    ) -> AsyncIterator[rpc.StreamRecordsResponse]:
        pages = self._service.stream_records(
            request.workspace, request.base_id, request.table_id, messages.to_query(request)
        )
        async for records, token in pages:
            converted = await messages.converted(messages.from_record, records)
            yield rpc.StreamRecordsResponse(records=converted, next_page_token=token)

    async def GetRecord(self, request: rpc.GetRecordRequest, call: Any) -> rpc.GetRecordResponse:
        record = await self._service.get_record(
            request.workspace, request.base_id, request.table_id, request.record_id, messages.to_shape(request)
        )
        return rpc.GetRecordResponse(record=messages.from_record(record))

    async def CreateRecords(self, request: rpc.CreateRecordsRequest, call: Any) -> rpc.CreateRecordsResponse:
        rows = await messages.to_cells(request.records)
        outcomes = await self._writes.create(
            request.workspace, request.base_id, request.table_id, rows, messages.to_options(request)
        )
        return rpc.CreateRecordsResponse(**await messages.from_outcomes(outcomes))

    async def UpdateRecords(self, request: rpc.UpdateRecordsRequest, call: Any) -> rpc.UpdateRecordsResponse:
        cells = await messages.to_cells(request.records)
        rows = [(row.id, fields) for row, fields in zip(request.records, cells, strict=True)]
        outcomes = await self._writes.update(
            request.workspace, request.base_id, request.table_id, rows, messages.to_options(request)
        )
        return rpc.UpdateRecordsResponse(**await messages.from_outcomes(outcomes))

    async def UpsertRecords(self, request: rpc.UpsertRecordsRequest, call: Any) -> rpc.UpsertRecordsResponse:
        cells = await messages.to_cells(request.records)
        rows = [(row.id, fields) for row, fields in zip(request.records, cells, strict=True)]
        outcomes = await self._writes.update(
            request.workspace, request.base_id, request.table_id, rows, messages.to_options(request)
        )
        return rpc.UpsertRecordsResponse(**await messages.from_outcomes(outcomes))

    async def DeleteRecords(self, request: rpc.DeleteRecordsRequest, call: Any) -> rpc.DeleteRecordsResponse:
        outcomes = await self._writes.delete(
            request.workspace, request.base_id, request.table_id, request.record_ids, messages.to_options(request)
        )
        return rpc.DeleteRecordsResponse(**await messages.from_outcomes(outcomes))

    async def ListComments(self, request: rpc.ListCommentsRequest, call: Any) -> rpc.ListCommentsResponse:
        comments, token = await self._service.list_comments(
            request.workspace,
            request.base_id,
            request.table_id,
            request.record_id,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return rpc.ListCommentsResponse(comments=map(messages.from_comment, comments), next_page_token=token)

    async def CreateComment(self, request: rpc.CreateCommentRequest, call: Any) -> rpc.CreateCommentResponse:
        comment = await self._service.create_comment(
            request.workspace,
            request.base_id,
            request.table_id,
            request.record_id,
            request.text,
            request.parent_comment_id,
        )
        return rpc.CreateCommentResponse(comment=messages.from_comment(comment))

    async def UpdateComment(self, request: rpc.UpdateCommentRequest, call: Any) -> rpc.UpdateCommentResponse:
        comment = await self._service.update_comment(
            request.workspace, request.base_id, request.table_id, request.record_id, request.comment_id, request.text
        )
        return rpc.UpdateCommentResponse(comment=messages.from_comment(comment))

    async def DeleteComment(self, request: rpc.DeleteCommentRequest, call: Any) -> rpc.DeleteCommentResponse:
        await self._service.delete_comment(
            request.workspace, request.base_id, request.table_id, request.record_id, request.comment_id
        )
        return rpc.DeleteCommentResponse()

    async def UploadAttachment(self, request: rpc.UploadAttachmentRequest, call: Any) -> rpc.UploadAttachmentResponse:
        record_id, attachments = await self._service.upload_attachment(
            request.workspace,
            request.base_id,
            request.table_id,
            request.record_id,
            request.field_id,
            filename=request.filename,
            content_type=request.content_type,
            content=request.content,
        )
        return rpc.UploadAttachmentResponse(record_id=record_id, attachments=messages.from_list(attachments))

    async def GetIdentity(self, request: rpc.GetIdentityRequest, call: Any) -> rpc.GetIdentityResponse:
        user = await self._service.identity(request.workspace)
        return rpc.GetIdentityResponse(
            user_id=user["id"], email=user.get("email") or "", scopes=user.get("scopes") or []
        )

    async def GetUsage(self, request: rpc.GetUsageRequest, call: Any) -> rpc.GetUsageResponse:
        workspace, month, by_base = await self._service.usage(request.workspace)
        return rpc.GetUsageResponse(
            month=month,
            calls=sum(by_base.values()),
            monthly_call_budget=workspace.monthly_call_budget,
            calls_by_base=by_base,
        )

    async def VerifyBindings(self, request: rpc.VerifyBindingsRequest, call: Any) -> rpc.VerifyBindingsResponse:
        reference = request.credential
        secret = SecretRef(reference.name, reference.key, reference.version)
        return messages.from_verified(await self._verifier.verify(request.workspace, secret, request.base_ids))
