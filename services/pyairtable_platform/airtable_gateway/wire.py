"""Airtable's Web API as values: every call that the gateway makes, built here and sent by airtable.py. Pure.

Source of the forms: Airtable's Web API documentation, and the forms that its own client and pyairtable send.
"""

from __future__ import annotations

import base64
import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

from pyairtable_platform.common.errors import InvalidInput

PAGE_SIZE = 100
"""Records in a page, at most (Airtable docs: list records)."""
BATCH_SIZE = 10
"""Records in a write, at most (Airtable docs: create, update, delete records)."""
RECORD_ID = re.compile(r"rec[A-Za-z0-9]{14}")
LONGEST_URL = 15_000
"""Airtable takes 16,000 characters; host and scheme need some of them."""

Fields = Mapping[str, Any]
Json = dict[str, Any]


class Effect(enum.Enum):
    """What it means to send a call a second time."""

    READ = "read"
    REPEATABLE = "repeatable"
    """A write that leaves the same state however often it is done."""
    ONCE = "once"
    """A write that must not be done twice: after a doubtful end somebody has to look first."""


@dataclass(frozen=True, slots=True)
class AirtableCall:
    """One HTTP call to Airtable."""

    operation: str
    """For metrics and spans, for example "list_records"."""
    method: str
    path: str
    """Below /v0, percent-encoded."""
    effect: Effect = Effect.READ
    base_id: str = ""
    query: tuple[tuple[str, str], ...] = ()
    body: Json | None = None
    holds: str = "id"
    """A key that Airtable's answer has; an answer without it is none."""
    on_content_host: bool = False
    """Attachment bytes go to a host of their own."""

    @property
    def target(self) -> str:
        """Path and query, ready to be sent."""
        return f"/v0{self.path}?{urlencode(self.query)}" if self.query else f"/v0{self.path}"


@dataclass(frozen=True, slots=True)
class Shape:
    """How cells are to be returned."""

    as_text: bool = False
    time_zone: str = ""
    user_locale: str = ""
    by_field_id: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """Which records to list, in which order and shape."""

    view: str = ""
    formula: str = ""
    sort: tuple[tuple[str, str], ...] = ()
    """Field and direction ("asc" or "desc")."""
    fields: tuple[str, ...] = ()
    shape: Shape = field(default_factory=Shape)
    with_comment_count: bool = False


def path(*parts: str) -> str:
    """Join path parts; a table's name may hold a slash or anything else.

    "." and ".." cannot be escaped: clients and servers drop them with the part before, so that the call would go to
    another address (another record, another base).
    """
    for part in parts:
        if part in ("", ".", ".."):
            raise InvalidInput(f'"{part}" is not an id or a name: use the id (rec..., tbl..., com...)')
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def list_records(base_id: str, table: str, listing: Listing, *, page_size: int, offset: str = "") -> AirtableCall:
    """A page of records; as POST when the URL would become too long."""
    parameters = _listing_parameters(listing) | {"pageSize": page_size}
    if offset:
        parameters["offset"] = offset
    locale = _locale_parameters(listing.shape)
    call = AirtableCall("list_records", "GET", path(base_id, table), base_id=base_id, holds="records")
    as_get = replace(call, query=(*_flatten(parameters), *locale))
    if len(as_get.target) <= LONGEST_URL:
        return as_get
    # Airtable's own client leaves these two in the query of a POST.
    return replace(call, method="POST", path=path(base_id, table, "listRecords"), query=locale, body=parameters)


def get_record(base_id: str, table: str, record_id: str, shape: Shape) -> AirtableCall:
    """One record."""
    query = (*_flatten(_shape_parameters(shape)), *_locale_parameters(shape))
    return AirtableCall("get_record", "GET", path(base_id, table, record_id), base_id=base_id, query=query)


def find_record(base_id: str, table: str, record_id: str, shape: Shape) -> AirtableCall:
    """One record, if it stands in this table: a listing of one at most."""
    if not RECORD_ID.fullmatch(record_id):
        raise InvalidInput(f'"{record_id}" is not the id of a record (rec...)')
    return list_records(base_id, table, Listing(formula=f'RECORD_ID()="{record_id}"', shape=shape), page_size=1)


def create_records(
    base_id: str, table: str, rows: Sequence[Fields], *, typecast: bool, by_field_id: bool
) -> AirtableCall:
    """Up to ten new records."""
    body = {"records": [{"fields": dict(fields)} for fields in rows], **_write_options(typecast, by_field_id)}
    return AirtableCall(
        "create_records", "POST", path(base_id, table), Effect.ONCE, base_id, body=body, holds="records"
    )


def update_records(
    base_id: str,
    table: str,
    rows: Sequence[tuple[str, Fields]],
    *,
    replace_all: bool,
    typecast: bool,
    by_field_id: bool,
    merge_on: Sequence[str] = (),
) -> AirtableCall:
    """Up to ten changed records; with `merge_on` an upsert, in which an id may be empty."""
    records = [{"id": id_, "fields": dict(fields)} if id_ else {"fields": dict(fields)} for id_, fields in rows]
    body: Json = {"records": records, **_write_options(typecast, by_field_id)}
    if merge_on:
        body["performUpsert"] = {"fieldsToMergeOn": list(merge_on)}
    operation, method = "upsert_records" if merge_on else "update_records", "PUT" if replace_all else "PATCH"
    return AirtableCall(operation, method, path(base_id, table), Effect.REPEATABLE, base_id, body=body, holds="records")


def delete_records(base_id: str, table: str, record_ids: Sequence[str]) -> AirtableCall:
    """Up to ten records to delete."""
    query = tuple(("records[]", record_id) for record_id in record_ids)
    where = path(base_id, table)
    return AirtableCall("delete_records", "DELETE", where, Effect.REPEATABLE, base_id, query=query, holds="records")


def list_comments(base_id: str, table: str, record_id: str, *, page_size: int, offset: str) -> AirtableCall:
    """A page of comments."""
    query = (("pageSize", str(page_size)), *((("offset", offset),) if offset else ()))
    where = path(base_id, table, record_id, "comments")
    return AirtableCall("list_comments", "GET", where, base_id=base_id, query=query, holds="comments")


def create_comment(base_id: str, table: str, record_id: str, text: str, parent: str) -> AirtableCall:
    """A new comment."""
    body = {"text": text, **({"parentCommentId": parent} if parent else {})}
    where = path(base_id, table, record_id, "comments")
    return AirtableCall("create_comment", "POST", where, Effect.ONCE, base_id, body=body)


def update_comment(base_id: str, table: str, record_id: str, comment_id: str, text: str) -> AirtableCall:
    """A changed comment."""
    where = path(base_id, table, record_id, "comments", comment_id)
    return AirtableCall("update_comment", "PATCH", where, Effect.REPEATABLE, base_id, body={"text": text})


def delete_comment(base_id: str, table: str, record_id: str, comment_id: str) -> AirtableCall:
    """A comment to delete."""
    where = path(base_id, table, record_id, "comments", comment_id)
    return AirtableCall("delete_comment", "DELETE", where, Effect.REPEATABLE, base_id)


def upload_attachment(
    base_id: str, record_id: str, field_ref: str, *, filename: str, content_type: str, content: bytes
) -> AirtableCall:
    """A file for an attachment field. The table is not part of the path."""
    body = {"contentType": content_type, "filename": filename, "file": base64.b64encode(content).decode()}
    where = path(base_id, record_id, field_ref, "uploadAttachment")
    return AirtableCall("upload_attachment", "POST", where, Effect.ONCE, base_id, body=body, on_content_host=True)


def whoami() -> AirtableCall:
    """Whose token it is."""
    return AirtableCall("whoami", "GET", "/meta/whoami")


def list_bases(offset: str = "") -> AirtableCall:
    """A page of up to 1,000 bases."""
    query = (("offset", offset),) if offset else ()
    return AirtableCall("list_bases", "GET", "/meta/bases", query=query, holds="bases")


def create_base(workspace_id: str, name: str, tables: Sequence[Json]) -> AirtableCall:
    """A new base."""
    body = {"workspaceId": workspace_id, "name": name, "tables": list(tables)}
    return AirtableCall("create_base", "POST", "/meta/bases", Effect.ONCE, body=body)


def base_schema(base_id: str) -> AirtableCall:
    """All tables, fields and views of a base."""
    return AirtableCall("base_schema", "GET", path("meta", "bases", base_id, "tables"), base_id=base_id, holds="tables")


def create_table(base_id: str, table: Json) -> AirtableCall:
    """A new table."""
    where = path("meta", "bases", base_id, "tables")
    return AirtableCall("create_table", "POST", where, Effect.ONCE, base_id, body=table)


def update_table(base_id: str, table: str, changes: Json) -> AirtableCall:
    """A changed table."""
    where = path("meta", "bases", base_id, "tables", table)
    return AirtableCall("update_table", "PATCH", where, Effect.REPEATABLE, base_id, body=changes)


def create_field(base_id: str, table_id: str, new_field: Json) -> AirtableCall:
    """A new field; Airtable takes the table's id only here."""
    where = path("meta", "bases", base_id, "tables", table_id, "fields")
    return AirtableCall("create_field", "POST", where, Effect.ONCE, base_id, body=new_field)


def update_field(base_id: str, table_id: str, field_id: str, changes: Json) -> AirtableCall:
    """A changed field; Airtable takes ids only here."""
    where = path("meta", "bases", base_id, "tables", table_id, "fields", field_id)
    return AirtableCall("update_field", "PATCH", where, Effect.REPEATABLE, base_id, body=changes)


def _listing_parameters(listing: Listing) -> Json:
    parameters = _shape_parameters(listing.shape)
    if listing.view:
        parameters["view"] = listing.view
    if listing.formula:
        parameters["filterByFormula"] = listing.formula
    if listing.sort:
        parameters["sort"] = [{"field": name, "direction": direction or "asc"} for name, direction in listing.sort]
    if listing.fields:
        parameters["fields"] = list(listing.fields)
    if listing.with_comment_count:
        parameters["recordMetadata"] = ["commentCount"]
    return parameters


def _shape_parameters(shape: Shape) -> Json:
    parameters: Json = {}
    if shape.as_text:
        parameters["cellFormat"] = "string"
    if shape.by_field_id:
        parameters["returnFieldsByFieldId"] = True
    return parameters


def _locale_parameters(shape: Shape) -> tuple[tuple[str, str], ...]:
    pairs = (("timeZone", shape.time_zone), ("userLocale", shape.user_locale))
    return tuple((name, value) for name, value in pairs if value)


def _write_options(typecast: bool, by_field_id: bool) -> Json:
    options = {"typecast": typecast, "returnFieldsByFieldId": by_field_id}
    return {name: True for name, wanted in options.items() if wanted}


def _flatten(parameters: Json) -> tuple[tuple[str, str], ...]:
    """Query pairs: lists as name[], lists of objects as name[0][key]."""
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if not isinstance(value, list):
            pairs.append((name, _text(value)))
            continue
        for index, item in enumerate(value):
            if isinstance(item, dict):
                pairs += [(f"{name}[{index}][{key}]", _text(part)) for key, part in item.items()]
            else:
                pairs.append((f"{name}[]", _text(item)))
    return tuple(pairs)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
