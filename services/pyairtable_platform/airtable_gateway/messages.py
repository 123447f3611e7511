"""Messages of the contract and Airtable's JSON, one made from the other. Pure."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from google.protobuf import struct_pb2, timestamp_pb2

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict, to_timestamp
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import record_pb2, schema_pb2
from pyairtable_protos.common.v1 import error_reason_pb2

from .plans import WriteOptions
from .rows import Outcome, RowState, summary
from .service import BaseView, ListQuery
from .verify import Verified, VerifiedBase
from .wire import Json, Listing, Shape

_STATES = {
    RowState.CREATED: record_pb2.ROW_STATE_CREATED,
    RowState.UPDATED: record_pb2.ROW_STATE_UPDATED,
    RowState.DELETED: record_pb2.ROW_STATE_DELETED,
    RowState.FAILED: record_pb2.ROW_STATE_FAILED,
    RowState.UNKNOWN: record_pb2.ROW_STATE_UNKNOWN,
    RowState.NOT_ATTEMPTED: record_pb2.ROW_STATE_NOT_ATTEMPTED,
}

A = TypeVar("A")
B = TypeVar("B")
_STEP = 200

ListRequest = rpc.ListRecordsRequest | rpc.StreamRecordsRequest
WriteRequest = rpc.CreateRecordsRequest | rpc.UpdateRecordsRequest | rpc.UpsertRecordsRequest | rpc.DeleteRecordsRequest


def to_query(request: ListRequest) -> ListQuery:
    """What a listing wants."""
    listing = Listing(
        view=request.view,
        formula=request.filter_by_formula,
        sort=tuple((key.field, key.direction) for key in request.sort),
        fields=tuple(request.fields),
        shape=to_shape(request),
        with_comment_count=request.with_comment_count,
    )
    return ListQuery(listing, request.page_size, request.max_records, request.page_token)


def to_shape(request: ListRequest | rpc.GetRecordRequest) -> Shape:
    return Shape(request.as_text, request.time_zone, request.user_locale, request.return_fields_by_field_id)


def to_options(request: WriteRequest) -> WriteOptions:
    """How rows are to be written; requests have those options that make sense for them."""
    return WriteOptions(
        typecast=getattr(request, "typecast", False),
        by_field_id=getattr(request, "return_fields_by_field_id", False),
        replace=getattr(request, "replace", False),
        merge_on=tuple(getattr(request, "fields_to_merge_on", ())),
        idempotency_key=request.idempotency_key,
    )


async def to_cells(rows: Sequence[record_pb2.NewRecord | record_pb2.RecordUpdate]) -> list[Json]:
    """The cells of each row. Raises InvalidInput for numbers that JSON cannot hold: they would clear the cell."""
    cells = await converted(lambda row: struct_to_dict(row.fields), rows)
    for index, fields in enumerate(cells):
        for name, value in fields.items():
            if not is_finite(value):
                raise InvalidInput.at(f"records[{index}].fields.{name}", "NaN and infinite numbers cannot be written")
    return cells


def is_finite(value: Any) -> bool:
    """Whether all numbers in a value are."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    return all(map(is_finite, value)) if isinstance(value, list) else True


async def converted(convert: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """Convert many items, letting other calls go on meanwhile: ten thousand records take a second."""
    results: list[B] = []
    for item in items:
        results.append(convert(item))
        if len(results) % _STEP == 0:
            await asyncio.sleep(0)
    return results


def from_record(record: Mapping[str, Any]) -> record_pb2.Record:
    """A record; the order of its cells is Airtable's."""
    message = record_pb2.Record(
        id=record["id"],
        created_time=from_time(record.get("createdTime")),
        fields=dict_to_struct(record.get("fields") or {}),
    )
    if record.get("commentCount") is not None:
        message.comment_count = int(record["commentCount"])
    return message


def from_outcome(outcome: Outcome) -> record_pb2.RowOutcome:
    error = outcome.error
    return record_pb2.RowOutcome(
        index=outcome.index,
        record_id=outcome.record_id,
        state=_STATES[outcome.state],
        record=from_record(outcome.record) if outcome.record is not None else None,
        error=record_pb2.RowError(reason=error.reason, message=error.message, field=error.field) if error else None,
    )


async def from_outcomes(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The fields of a write's response."""
    counts = summary(outcomes)
    return {
        "outcomes": await converted(from_outcome, outcomes),
        "summary": record_pb2.WriteSummary(**{state.lower(): count for state, count in counts.items()}),
    }


def from_base(view: BaseView) -> schema_pb2.Base:
    return schema_pb2.Base(
        id=view.airtable["id"],
        name=view.airtable.get("name", ""),
        permission_level=view.airtable.get("permissionLevel", ""),
        binding=view.binding.name,
        is_default=view.binding.is_default,
        access=view.binding.access,
    )


def from_table(table: Json) -> schema_pb2.Table:
    return schema_pb2.Table(
        id=table["id"],
        name=table.get("name", ""),
        description=table.get("description") or "",
        primary_field_id=table.get("primaryFieldId", ""),
        fields=[from_field(field) for field in table.get("fields", [])],
        views=[
            schema_pb2.View(id=view["id"], name=view.get("name", ""), type=view.get("type", ""))
            for view in table.get("views", [])
        ],
    )


def from_field(field: Json) -> schema_pb2.Field:
    return schema_pb2.Field(
        id=field["id"],
        name=field.get("name", ""),
        type=field.get("type", ""),
        description=field.get("description") or "",
        options=dict_to_struct(field["options"]) if field.get("options") else None,
    )


def to_table(table: schema_pb2.NewTable) -> Json:
    fields = [to_field(field) for field in table.fields]
    return {"name": table.name, **_if_set("description", table.description), "fields": fields}


def to_field(field: schema_pb2.NewField) -> Json:
    options = struct_to_dict(field.options) if field.HasField("options") else None
    return {
        "name": field.name,
        "type": field.type,
        **_if_set("description", field.description),
        **_if_set("options", options),
    }


def to_changes(request: rpc.UpdateTableRequest | rpc.UpdateFieldRequest) -> Json:
    """The new values that are set; an empty description is one, it clears."""
    changes: Json = {name: getattr(request, name) for name in ("name", "description") if request.HasField(name)}
    if isinstance(request, rpc.UpdateFieldRequest) and request.HasField("formula"):
        changes["options"] = {"formula": request.formula}
    return changes


def from_comment(comment: Json) -> record_pb2.Comment:
    author = comment.get("author") or {}
    return record_pb2.Comment(
        id=comment["id"],
        author=record_pb2.CommentAuthor(
            id=author.get("id", ""), email=author.get("email") or "", name=author.get("name") or ""
        ),
        text=comment.get("text", ""),
        created_time=from_time(comment.get("createdTime")),
        last_updated_time=from_time(comment.get("lastUpdatedTime")),
        parent_comment_id=comment.get("parentCommentId") or "",
    )


def from_list(values: Sequence[Any]) -> struct_pb2.ListValue:
    message = struct_pb2.ListValue()
    message.extend(values)
    return message


def from_time(text: str | None) -> timestamp_pb2.Timestamp | None:
    """Airtable's ISO time; None when there is none."""
    return to_timestamp(datetime.fromisoformat(text)) if text else None


def _if_set(name: str, value: Any) -> Json:
    return {name: value} if value else {}


def from_verified(verified: Verified) -> rpc.VerifyBindingsResponse:
    """What Airtable says of a credential and bases."""
    return rpc.VerifyBindingsResponse(
        user_id=verified.user_id, scopes=verified.scopes, bases=map(from_verified_base, verified.bases)
    )


def from_verified_base(base: VerifiedBase) -> rpc.VerifiedBase:
    reason = error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{base.reason or 'UNSPECIFIED'}")
    return rpc.VerifiedBase(
        base_id=base.base_id,
        reason=reason,
        problem=base.problem,
        name=base.name,
        permission_level=base.permission_level,
        tables=[
            rpc.VerifiedTable(id=table.id, name=table.name, fingerprint=table.fingerprint) for table in base.tables
        ],
        fingerprint=base.fingerprint,
    )
