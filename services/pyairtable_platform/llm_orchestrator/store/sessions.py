"""Sessions and their messages."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common.database import transaction
from pyairtable_platform.common.errors import InvalidInput, NotFound, Reason
from pyairtable_platform.common.workspace import name_of
from pyairtable_platform.llm_orchestrator.entities import Message, RunState, Session, SessionCost, Whose
from pyairtable_platform.llm_orchestrator.ports import Cost, Usage

from .rows import cancel_key, notify, of_session, theirs
from .tables import messages, runs, sessions

_MESSAGES = (
    sa.select(sa.func.count())
    .where(
        messages.c.workspace == sessions.c.workspace,
        messages.c.owner == sessions.c.owner,
        messages.c.session_id == sessions.c.id,
    )
    .scalar_subquery()
    .label("message_count")
)


class SessionStore:
    """Reads and deletes sessions; starting a run makes them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def list_sessions(self, whose: Whose, page_size: int, page_token: str) -> tuple[list[Session], str]:
        """A page of sessions, the last used first, and the token of the next page (empty on the last one)."""
        query = sa.select(sessions, _MESSAGES).where(theirs(sessions, whose))
        if page_token:
            after, session_id = _read_token(page_token, whose, str, str)
            query = query.where(
                sa.tuple_(sessions.c.updated_at, sessions.c.id)
                < sa.tuple_(sa.literal(_moment(after)), sa.literal(session_id))
            )
        query = query.order_by(sessions.c.updated_at.desc(), sessions.c.id.desc()).limit(page_size + 1)
        rows = await self._all(whose, query)
        page = [_session(row) for row in rows[:page_size]]
        more = len(rows) > page_size
        return page, _token(whose, page[-1].updated_at.isoformat(), page[-1].id) if more else ""

    async def get_session(self, whose: Whose, session_id: str) -> Session:
        """The session. Raises NotFound."""
        query = sa.select(sessions, _MESSAGES).where(_is(whose, session_id))
        rows = await self._all(whose, query)
        if not rows:
            raise unknown_session(session_id)
        return _session(rows[0])

    async def list_messages(
        self, whose: Whose, session_id: str, page_size: int, page_token: str
    ) -> tuple[list[Message], str]:
        """A page of messages, the oldest first, and the token of the next page. Raises NotFound."""
        await self.get_session(whose, session_id)
        in_session = of_session(messages, whose, session_id)
        query = sa.select(messages).where(in_session).order_by(messages.c.position).limit(page_size + 1)
        if page_token:
            (position,) = _read_token(page_token, whose, int)
            query = query.where(messages.c.position > position)
        rows = await self._all(whose, query)
        page = rows[:page_size]
        found = [Message(row.role, row.content, row.run_id or "", row.created_at, row.tools_used) for row in page]
        return found, _token(whose, page[-1].position) if len(rows) > page_size else ""

    async def delete_session(self, whose: Whose, session_id: str) -> None:
        """Delete a session with all it had. Raises NotFound.

        A run in progress loses its log, and so its worker stops.
        """
        async with transaction(self._engine, whose.tenant) as connection:
            await tell_workers(connection, of_session(runs, whose, session_id))
            deleted = await connection.execute(sa.delete(sessions).where(_is(whose, session_id)))
            if deleted.rowcount == 0:
                raise unknown_session(session_id)

    async def session_cost(self, whose: Whose, session_id: str) -> SessionCost:
        """Tokens and cost of all runs. Raises NotFound."""
        await self.get_session(whose, session_id)
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
        ).where(of_session(runs, whose, session_id))
        return _session_cost((await self._all(whose, query))[0])

    async def _all(self, whose: Whose, query: sa.Select[Any]) -> list[Any]:
        async with transaction(self._engine, whose.tenant) as connection:
            return list((await connection.execute(query)).all())


async def tell_workers(connection: AsyncConnection, which: sa.ColumnElement[bool]) -> None:
    """Wake who works on or reads these runs, which are about to be deleted."""
    for row in await connection.execute(sa.select(runs.c.id).where(which, runs.c.state == RunState.RUNNING)):
        await notify(connection, row.id)
        await notify(connection, cancel_key(row.id))


def unknown_session(session_id: str) -> NotFound:
    """What callers are told of a session that is not there, or not theirs."""
    return NotFound(f'there is no session "{session_id}"', reason=Reason.SESSION_NOT_FOUND, session=session_id)


def _session(row: Any) -> Session:
    return Session(row.id, name_of(row.workspace), row.title, row.created_at, row.updated_at, row.message_count)


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


def _is(whose: Whose, session_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(theirs(sessions, whose), sessions.c.id == session_id)


def _token(whose: Whose, *position: str | int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([_mark(whose), *position])).decode()


def _mark(whose: Whose) -> str:
    """Tells owners apart in page tokens, which callers see."""
    return hashlib.sha256(f"{whose.tenant}/{whose.owner}".encode()).hexdigest()[:12]


def _read_token(token: str, whose: Whose, *kinds: type) -> list[Any]:
    """The position in a page token. Raises InvalidInput for one that we did not make for this owner."""
    try:
        position = orjson.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError) as error:
        raise _bad_token() from error
    if not isinstance(position, list) or [type(part) for part in position] != [str, *kinds]:
        raise _bad_token()
    mark, *place = position
    if mark != _mark(whose):
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
