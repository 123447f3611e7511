"""Airtable's routes: method and path, what a caller needs for each, and who answers.

`/v0/meta` and `/v0/bases` come before `/v0/{base}/{table}`, or a base would be called "meta".
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pyairtable_devkit.airtable import attachments, comments, records, schema, webhooks
from pyairtable_devkit.airtable.emulator import Call, Emulator
from pyairtable_devkit.airtable.ids import is_id
from pyairtable_devkit.airtable.latency import Effort

Handler = Callable[[Emulator, Call], Any | Awaitable[Any]]

_ID_PREFIXES = {"base": "app", "rec": "rec", "ach": "ach", "com": "com", "tbl": "tbl", "fld": "fld"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route. `role` is the least permission level in the base, None when no base is involved."""

    method: str
    path: str
    handler: Handler
    scope: str | None
    role: str | None
    effort: Effort

    @property
    def name(self) -> str:
        """How counters call it, for example `GET /{base}/{table}`."""
        return f"{self.method} {self.path}"

    @property
    def is_metadata(self) -> bool:
        """Metadata calls answer even when the monthly cap is used up."""
        return self.path.startswith("/meta")

    @property
    def is_data(self) -> bool:
        """Whether the path starts with a base, not with `meta` or `bases`."""
        return self.path.startswith("/{base}")


_READ, _WRITE = "data.records:read", "data.records:write"
_SEE, _SHAPE = "schema.bases:read", "schema.bases:write"
_COMMENTS_READ, _COMMENTS_WRITE = "data.recordComments:read", "data.recordComments:write"
_HOOKS = "webhook:manage"
_HOOK = "/bases/{base}/webhooks"

ENDPOINTS = (
    Endpoint("GET", "/meta/whoami", schema.whoami, None, None, "get"),
    Endpoint("GET", "/meta/bases", schema.list_bases, _SEE, None, "schema"),
    Endpoint("POST", "/meta/bases", schema.create_base, _SHAPE, None, "write"),
    Endpoint("GET", "/meta/bases/{base}/tables", schema.base_schema, _SEE, "read", "schema"),
    Endpoint("POST", "/meta/bases/{base}/tables", schema.create_table, _SHAPE, "create", "write"),
    Endpoint("PATCH", "/meta/bases/{base}/tables/{table}", schema.update_table, _SHAPE, "create", "write"),
    Endpoint("POST", "/meta/bases/{base}/tables/{tbl}/fields", schema.create_field, _SHAPE, "create", "write"),
    Endpoint("PATCH", "/meta/bases/{base}/tables/{tbl}/fields/{fld}", schema.update_field, _SHAPE, "create", "write"),
    Endpoint("GET", _HOOK, webhooks.list_webhooks, _HOOKS, "read", "get"),
    Endpoint("POST", _HOOK, webhooks.create_webhook, _HOOKS, "create", "write"),
    Endpoint("DELETE", _HOOK + "/{ach}", webhooks.delete_webhook, _HOOKS, "create", "write"),
    Endpoint("POST", _HOOK + "/{ach}/enableNotifications", webhooks.enable_notifications, _HOOKS, "create", "write"),
    Endpoint("POST", _HOOK + "/{ach}/refresh", webhooks.refresh_webhook, _HOOKS, "create", "write"),
    Endpoint("GET", _HOOK + "/{ach}/payloads", webhooks.list_payloads, _HOOKS, "read", "get"),
    Endpoint("GET", "/{base}/{table}", records.list_records, _READ, "read", "list"),
    Endpoint("POST", "/{base}/{table}/listRecords", records.list_records, _READ, "read", "list"),
    Endpoint("GET", "/{base}/{table}/{rec}", records.get_record, _READ, "read", "get"),
    Endpoint("POST", "/{base}/{table}", records.create_records, _WRITE, "edit", "write"),
    Endpoint("PATCH", "/{base}/{table}", records.update_records, _WRITE, "edit", "write"),
    Endpoint("PUT", "/{base}/{table}", records.update_records, _WRITE, "edit", "write"),
    Endpoint("PATCH", "/{base}/{table}/{rec}", records.update_record, _WRITE, "edit", "write"),
    Endpoint("PUT", "/{base}/{table}/{rec}", records.update_record, _WRITE, "edit", "write"),
    Endpoint("DELETE", "/{base}/{table}", records.delete_records, _WRITE, "edit", "write"),
    Endpoint("DELETE", "/{base}/{table}/{rec}", records.delete_record, _WRITE, "edit", "write"),
    Endpoint("POST", "/{base}/{rec}/{field}/uploadAttachment", attachments.upload, _WRITE, "edit", "write"),
    Endpoint("GET", "/{base}/{table}/{rec}/comments", comments.list_comments, _COMMENTS_READ, "read", "get"),
    Endpoint("POST", "/{base}/{table}/{rec}/comments", comments.create_comment, _COMMENTS_WRITE, "comment", "write"),
    Endpoint(
        "PATCH", "/{base}/{table}/{rec}/comments/{com}", comments.update_comment, _COMMENTS_WRITE, "comment", "write"
    ),
    Endpoint(
        "DELETE", "/{base}/{table}/{rec}/comments/{com}", comments.delete_comment, _COMMENTS_WRITE, "comment", "write"
    ),
)

_Pattern = tuple[tuple[str, ...], Endpoint]


def _by_shape() -> dict[tuple[str, int], list[_Pattern]]:
    """Endpoints by method and number of segments; those with more literal segments come first."""
    table: dict[tuple[str, int], list[_Pattern]] = {}
    for endpoint in ENDPOINTS:
        parts = tuple(endpoint.path.strip("/").split("/"))
        table.setdefault((endpoint.method, len(parts)), []).append((parts, endpoint))
    for patterns in table.values():
        patterns.sort(key=lambda item: sum(part.startswith("{") for part in item[0]))
    return table


_TABLE = _by_shape()


def match(method: str, segments: list[str]) -> tuple[Endpoint, dict[str, str]] | None:
    """The endpoint for decoded path segments after /v0, with its parameters; None is a bare 404.

    Ids in the path that are not shaped like one match nothing, before any token is looked at.
    """
    for parts, endpoint in _TABLE.get((method, len(segments)), ()):
        params: dict[str, str] | None = {}
        for part, segment in zip(parts, segments, strict=True):
            if not part.startswith("{"):
                if part != segment:
                    params = None
                    break
            elif params is not None:
                params[part[1:-1]] = segment
        if params is None:
            continue
        shaped = all(is_id(value, _ID_PREFIXES[key]) for key, value in params.items() if key in _ID_PREFIXES)
        return (endpoint, params) if shaped else None
    return None
