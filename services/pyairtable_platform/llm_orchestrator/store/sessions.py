"""Sessions and their messages."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import database_errors
from pyairtable_platform.common.errors import InvalidInput, NotFound, Reason
from pyairtable_platform.common.workspace import name_of
from pyairtable_platform.llm_orchestrator.entities import Message, RunState, Session, SessionCost
from pyairtable_platform.llm_orchestrator.ports import Cost, Usage

from .rows import cancel_key, notify
from .tables import messages, runs, sessions

_MESSAGES = (
    sa.select(sa.func.count())
    .where(messages.c.workspace == sessions.c.workspace, messages.c.session_id == sessions.c.id)
    .scalar_subquery()
    .label("message_count")
)


class SessionStore:
    """Reads and deletes sessions; starting a run makes them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def list_sessions(self, tenant: str, page_size: int, page_token: str) -> tuple[list[Session], str]:
        """A page of sessions, the last used first, and the token of the next page (empty on the last one)."""
        query = sa.select(sessions, _MESSAGES).where(sessions.c.workspace == tenant)
        if page_token:
            after, session_id = _read_token(page_token, tenant, str, str)
            query = query.where(
                sa.tuple_(sessions.c.updated_at, sessions.c.id)
                < sa.tuple_(sa.literal(_moment(after)), sa.literal(session_id))
            )
        query = query.order_by(sessions.c.updated_at.desc(), sessions.c.id.desc()).limit(page_size + 1)
        rows = await self._all(query)
        page = [_session(row) for row in rows[:page_size]]
        more = len(rows) > page_size
        return page, _token(tenant, page[-1].updated_at.isoformat(), page[-1].id) if more else ""

    async def get_session(self, tenant: str, session_id: str) -> Session:
        """The session. Raises NotFound."""
        query = sa.select(sessions, _MESSAGES).where(_is(tenant, session_id))
        rows = await self._all(query)
        if not rows:
            raise unknown_session(session_id)
        return _session(rows[0])

    async def list_messages(
        self, tenant: str, session_id: str, page_size: int, page_token: str
    ) -> tuple[list[Message], str]:
        """A page of messages, the oldest first, and the token of the next page. Raises NotFound."""
        await self.get_session(tenant, session_id)
        of_session = sa.and_(messages.c.workspace == tenant, messages.c.session_id == session_id)
        query = sa.select(messages).where(of_session).order_by(messages.c.position).limit(page_size + 1)
        if page_token:
            (position,) = _read_token(page_token, tenant, int)
            query = query.where(messages.c.position > position)
        rows = await self._all(query)
        page = rows[:page_size]
        found = [Message(row.role, row.content, row.run_id or "", row.created_at, row.tools_used) for row in page]
        return found, _token(tenant, page[-1].position) if len(rows) > page_size else ""

    async def delete_session(self, tenant: str, session_id: str) -> None:
        """Delete a session with all it had. Raises NotFound.

        A run in progress loses its log, and so its worker stops.
        """
        with database_errors():
            async with self._engine.begin() as connection:
                in_session = sa.and_(runs.c.workspace == tenant, runs.c.session_id == session_id)
                query = sa.select(runs.c.id).where(in_session, runs.c.state == RunState.RUNNING)
                for row in await connection.execute(query):
                    await notify(connection, row.id)
                    await notify(connection, cancel_key(row.id))
                deleted = await connection.execute(sa.delete(sessions).where(_is(tenant, session_id)))
                if deleted.rowcount == 0:
                    raise unknown_session(session_id)

    async def session_cost(self, tenant: str, session_id: str) -> SessionCost:
        """Tokens and cost of all runs. Raises NotFound."""
        await self.get_session(tenant, session_id)
        counters = [runs.c.input_tokens, runs.c.output_tokens, runs.c.thinking_tokens, runs.c.cached_tokens]
        sums = [
            sa.func.coalesce(sa.func.sum(column), 0).label(column.name)
            for column in (*counters, runs.c.total_tokens, runs.c.model_calls, runs.c.cost_usd)
        ]
        query = sa.select(
            sa.func.count().label("runs"),
            sa.func.array_agg(runs.c.model.distinct()).label("models"),
            sa.func.coalesce(sa.func.bool_or(runs.c.cost_usd.is_(None)), False).label("unpriced"),
            *sums,
        ).where(runs.c.workspace == tenant, runs.c.session_id == session_id)
        return _session_cost((await self._all(query))[0])

    async def _all(self, query: sa.Select[Any]) -> list[Any]:
        with database_errors():
            async with self._engine.connect() as connection:
                return list((await connection.execute(query)).all())


def unknown_session(session_id: str) -> NotFound:
    """What callers are told of a session that is not there, or not theirs."""
    return NotFound(f'there is no session "{session_id}"', reason=Reason.SESSION_NOT_FOUND, session=session_id)


def _session(row: Any) -> Session:
    return Session(**{**row._mapping, "workspace": name_of(row.workspace)})


def _session_cost(row: Any) -> SessionCost:
    models = row.models or []
    usage = Usage(
        int(row.input_tokens),
        int(row.output_tokens),
        int(row.thinking_tokens),
        int(row.cached_tokens),
        int(row.total_tokens),
    )
    usd = None if row.unpriced else row.cost_usd
    return SessionCost(row.runs, models[0] if len(models) == 1 else "", Cost(usage, int(row.model_calls), usd))


def _is(tenant: str, session_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(sessions.c.workspace == tenant, sessions.c.id == session_id)


def _token(tenant: str, *position: str | int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([_mark(tenant), *position])).decode()


def _mark(tenant: str) -> str:
    """Tells tenants apart in page tokens, which callers see."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:12]


def _read_token(token: str, tenant: str, *kinds: type) -> list[Any]:
    """The position in a page token. Raises InvalidInput for one that we did not make for this tenant."""
    try:
        position = orjson.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError) as error:
        raise _bad_token() from error
    if not isinstance(position, list) or [type(part) for part in position] != [str, *kinds]:
        raise _bad_token()
    mark, *place = position
    if mark != _mark(tenant):
        raise _bad_token()
    return place


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _bad_token() from error
    if moment.tzinfo is None:
        raise _bad_token()
    return moment


def _bad_token() -> InvalidInput:
    text = "is not a token of this listing: start the listing again without one"
    return InvalidInput.at("page_token", text, reason=Reason.PAGE_TOKEN_INVALID)
