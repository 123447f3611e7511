"""The audit log: written from events, read page by page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import transaction
from pyairtable_platform.common.errors import InvalidInput, Reason
from pyairtable_platform.common.event import Event

_INSERT = text(
    "INSERT INTO audit_log (event_id, workspace, tenant, occurred_at, action, principal, subject, details) "
    "VALUES (:event_id, :workspace, :tenant, :occurred_at, :action, :principal, :subject, CAST(:details AS jsonb) "
    # Events do not hold the address; that of a person who was erased is not found any more.
    "|| coalesce((SELECT jsonb_build_object('email', email) FROM invitations "
    "WHERE invitation_id = :subject AND starts_with(:action, 'invitation.')), '{}')) "
    "ON CONFLICT (event_id) DO NOTHING"
)
_PAGE = text(
    "SELECT event_id, occurred_at, action, principal, subject, details::text AS details FROM audit_log "
    "WHERE workspace = :workspace AND tenant = :tenant AND starts_with(action, :prefix) "
    "AND (CAST(:before AS timestamptz) IS NULL OR (occurred_at, event_id) < (:before, :before_id)) "
    "ORDER BY occurred_at DESC, event_id DESC LIMIT :size"
)
_OF_WORKSPACES = ("member_", "invitation_", "template_")
"""Beginnings of names in the area workspace that are things of their own in the log."""


@dataclass(frozen=True)
class Entry:
    """Something that was changed."""

    event_id: str
    occurred_at: datetime
    action: str
    principal: str
    subject: str
    details: Mapping[str, Any]


class AuditLog:
    """The log of all workspaces. `tenant_of` tells the tenant that a name stands for now; empty for none."""

    def __init__(self, engine: AsyncEngine, tenant_of: Callable[[str], str]) -> None:
        self._engine = engine
        self._tenant_of = tenant_of

    async def write(self, event: Event) -> None:
        """Keep an event, once. What concerns no workspace is not kept."""
        if not event.workspace:
            return
        details = dict(event.data)
        tenant = details.pop("tenant", "") or self._tenant_of(event.workspace)
        values = {
            "event_id": event.event_id,
            "workspace": event.workspace,
            "tenant": tenant,
            "occurred_at": event.occurred_at,
            "action": action_of(event.type),
            "principal": event.principal,
            "subject": event.subject,
            "details": orjson.dumps(details).decode(),
        }
        async with transaction(self._engine, event.workspace) as connection:
            await connection.execute(_INSERT, values)

    async def page(self, workspace: str, tenant: str, prefix: str, size: int, token: str) -> tuple[list[Entry], str]:
        """Entries of a workspace, newest first, and the token of the next page."""
        before, before_id = _read_token(token) if token else (None, "")
        values = {
            "workspace": workspace,
            "tenant": tenant,
            "prefix": prefix,
            "before": before,
            "before_id": before_id,
            "size": size + 1,
        }
        async with transaction(self._engine, workspace) as connection:
            rows = (await connection.execute(_PAGE, values)).all()
        entries = [Entry(**{**row._mapping, "details": orjson.loads(row.details)}) for row in rows[:size]]
        return entries, _token(entries[-1]) if len(rows) > size else ""


def action_of(event_type: str) -> str:
    """The name of an event as the log has it: workspace.member_removed.v1 is member.removed."""
    name = event_type.rpartition(".")[0]
    area, _, what = name.partition(".")
    if area == "workspace" and what.startswith(_OF_WORKSPACES):
        return what.replace("_", ".", 1)
    return name


def _token(last: Entry) -> str:
    text = f"{last.occurred_at.isoformat()} {last.event_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[datetime, str]:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        moment, _, event_id = text.partition(" ")
        before = datetime.fromisoformat(moment)
        if before.tzinfo is None or not event_id or "\x00" in event_id:
            raise ValueError
    except (ValueError, binascii.Error):
        text = "is not one of ours: begin the listing again"
        raise InvalidInput.at("page_token", text, reason=Reason.PAGE_TOKEN_INVALID) from None
    return before, event_id
