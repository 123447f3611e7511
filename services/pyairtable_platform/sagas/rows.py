"""Rows of sagas and steps as values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .model import Saga, SagaState, StepRecord, StepState

SCHEMA = "sagas"
NOTIFY_CHANNEL = "sagas_changed"

_SAGA = sa.text("SELECT * FROM sagas WHERE saga_id = :saga_id")
_STEPS = sa.text("SELECT * FROM steps WHERE saga_id = ANY(:saga_ids) ORDER BY saga_id, position")


async def read_saga(connection: AsyncConnection, saga_id: str) -> Saga | None:
    """A saga with its steps."""
    row = (await connection.execute(_SAGA, {"saga_id": saga_id})).first()
    return None if row is None else (await with_steps(connection, [row]))[0]


async def with_steps(connection: AsyncConnection, rows: Sequence[Any]) -> list[Saga]:
    """Sagas with their steps, in the order of the rows."""
    steps: dict[str, list[StepRecord]] = defaultdict(list)
    for step in await connection.execute(_STEPS, {"saga_ids": [row.saga_id for row in rows]}):
        steps[step.saga_id].append(_step(step))
    return [_saga(row, tuple(steps[row.saga_id])) for row in rows]


def _saga(row: Any, steps: tuple[StepRecord, ...]) -> Saga:
    return Saga(
        saga_id=row.saga_id,
        type=row.type,
        state=SagaState(row.state),
        business_key=row.business_key,
        tenant=row.tenant,
        principal=row.principal,
        input=row.input,
        output=row.output,
        current_step=row.current_step,
        error=row.error,
        error_reason=row.error_reason,
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
        run=row.run,
        is_going_back=row.is_going_back,
        cancel_asked=row.cancel_asked,
        steps=steps,
    )


def _step(row: Any) -> StepRecord:
    return StepRecord(
        name=row.name,
        state=StepState(row.state),
        attempts=row.attempts,
        error=row.error,
        error_reason=row.error_reason,
        started_at=row.started_at,
        ended_at=row.ended_at,
        output=row.output,
        memo=row.memo,
    )
