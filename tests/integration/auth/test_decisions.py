"""The audit of authorizations: nothing is lost while PostgreSQL takes no lines, and equal ones are counted."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pyairtable_platform.auth import decisions
from pyairtable_platform.auth.decisions import Authorization, Decisions
from pyairtable_platform.common.database import open_engine
from pyairtable_platform.common.settings import DatabaseSettings


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    opened = open_engine(DatabaseSettings(database_url=database_url), "auth")  # type: ignore[arg-type]
    yield opened
    await opened.dispose()


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Whoever may change tables."""
    opened = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://"))
    yield opened
    await opened.dispose()


async def run(engine: AsyncEngine, statement: str) -> list[tuple[object, ...]]:
    async with engine.begin() as connection:
        await connection.execute(sqlalchemy.text("SET LOCAL app.workspace = '*'"))
        result = await connection.execute(sqlalchemy.text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


ALLOWED = Authorization("access key", session="access-key:1", workspace="acme")
REFUSED = Authorization("unknown", reason="UNAUTHENTICATED")


async def test_what_cannot_be_written_waits_and_is_counted(engine: AsyncEngine, owner: AsyncEngine) -> None:
    audit = Decisions(engine)
    await run(owner, "ALTER TABLE auth.audit RENAME TO away")
    for _ in range(3):
        audit.note(ALLOWED)
    await audit.flush()
    audit.note(ALLOWED)
    audit.note(REFUSED)
    await audit.flush()
    await run(owner, "ALTER TABLE auth.away RENAME TO audit")
    await audit.flush()
    await audit.flush()
    lines = await run(engine, "SELECT outcome, reason, workspace, details->>'times' FROM audit ORDER BY outcome")
    assert lines == [("allowed", "", "acme", "4"), ("refused", "UNAUTHENTICATED", "", "1")]


async def test_memory_is_bounded_and_what_is_lost_is_told(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(decisions, "LOST_BEYOND", 2)
    audit = Decisions(engine)
    for number in range(4):
        audit.note(Authorization("unknown", session=str(number)))
    audit.note(Authorization("unknown", session="0"))
    assert len([record for record in caplog.records if "not in the audit" in record.message]) == 2
    await audit.flush()
    assert await run(engine, "SELECT details->>'times' FROM audit ORDER BY 1") == [("1",), ("2",)]
