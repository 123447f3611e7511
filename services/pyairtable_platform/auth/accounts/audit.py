"""Every decision about a credential: who was let in or refused, and why. Never what was shown."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common.database import EVERY_WORKSPACE, NO_WORKSPACE, transaction
from pyairtable_platform.common.errors import InvalidInput, Reason

ALLOWED = "allowed"
REFUSED = "refused"

_TEXTS = ("action", "outcome", "reason", "user_id", "address", "workspace")
_INSERT = text(
    "INSERT INTO audit (action, outcome, reason, user_id, address, workspace, details) "
    "VALUES (:action, :outcome, :reason, :user_id, :address, :workspace, CAST(:details AS jsonb))"
)
_PAGE = text(
    "SELECT event_id, occurred_at, action, outcome, reason, user_id, address, workspace, details FROM audit "
    "WHERE (:user_id = '' OR user_id = :user_id) AND (:action = '' OR action = :action) "
    "AND (CAST(:before AS bigint) IS NULL OR event_id < :before) ORDER BY event_id DESC LIMIT :size"
)
_DISOWN = text("UPDATE audit SET user_id = '', address = '', details = '{}' WHERE user_id = :user_id")
_CLEAN = text("DELETE FROM audit WHERE occurred_at < clock_timestamp() - CAST(:kept AS interval)")


@dataclass(frozen=True)
class Decision:
    """A decision as it is made. `reason` is empty for what was allowed."""

    action: str
    reason: str = ""
    user_id: str = ""
    address: str = ""
    workspace: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        return REFUSED if self.reason else ALLOWED


@dataclass(frozen=True)
class Event:
    """A decision as it was kept."""

    event_id: int
    occurred_at: datetime
    action: str
    outcome: str
    reason: str
    user_id: str
    address: str
    workspace: str
    details: Mapping[str, Any]


async def record(connection: AsyncConnection, decision: Decision) -> None:
    """Keep a decision in the transaction that carries it out."""
    values = {name: getattr(decision, name) for name in _TEXTS}
    await connection.execute(_INSERT, {**values, "details": orjson.dumps(dict(decision.details)).decode()})


async def note(engine: AsyncEngine, decision: Decision) -> None:
    """Keep a decision by itself: a refusal, whose transaction was taken back or never begun."""
    async with transaction(engine, decision.workspace or NO_WORKSPACE) as connection:
        await record(connection, decision)


async def page(
    engine: AsyncEngine, *, user_id: str = "", action: str = "", size: int = 100, token: str = ""
) -> tuple[Sequence[Event], str]:
    """A page of decisions, newest first, and the token of the next one ("" at the end). Empty arguments mean any."""
    before = _from_token(token) if token else None
    values = {"user_id": user_id, "action": action, "before": before, "size": size + 1}
    # A person acts in several workspaces, and an administrator looks at all of them.
    async with transaction(engine, EVERY_WORKSPACE) as connection:
        events = [Event(*row) for row in await connection.execute(_PAGE, values)]
    return events[:size], _to_token(events[size - 1].event_id) if len(events) > size else ""


async def disown(connection: AsyncConnection, user_id: str) -> int:
    """Make a person's decisions nobody's; how many. Takes a transaction over every workspace."""
    return (await connection.execute(_DISOWN, {"user_id": user_id})).rowcount


async def clean(connection: AsyncConnection, kept: timedelta) -> None:
    """Delete what is older than the retention. Takes a transaction over every workspace."""
    await connection.execute(_CLEAN, {"kept": kept})


def _to_token(event_id: int) -> str:
    return base64.urlsafe_b64encode(str(event_id).encode()).decode()


def _from_token(token: str) -> int:
    try:
        event_id = int(base64.urlsafe_b64decode(token).decode("ascii"))
    except (ValueError, binascii.Error) as error:
        raise InvalidInput.at("page_token", "is not one of ours", reason=Reason.PAGE_TOKEN_INVALID) from error
    if not 0 < event_id < 2**63:
        raise InvalidInput.at("page_token", "is not one of ours", reason=Reason.PAGE_TOKEN_INVALID)
    return event_id
