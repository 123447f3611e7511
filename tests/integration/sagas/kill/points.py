"""Which points there are: from what a saga sent when nobody struck."""

from __future__ import annotations

from collections.abc import Iterable

from .court import Point
from .messages import PREPARED, is_about_a_step

IDLE_TIMES = 2
"""What is sent while there is nothing to do as well (polls, and what begins each transaction) is struck so often in a
saga, where it is not taken whole: nothing has happened since the send before it that could be lost."""

LOOKS_AFTER = "pg_try_advisory_xact_lock(1935763315)"
TURNED_BACK = "main: UPDATE sagas SET state = 'COMPENSATING'"
LOCKED = "main: SELECT state FROM sagas WHERE saga_id = $1 AND claim"
REMEMBERED = "dbos: COMMIT after INSERT INTO sagas_dbos.operation_outputs"


def distinct(sent: Iterable[Point], idle: set[str]) -> list[Point]:
    """The points without those that repeat what is sent anyway."""
    return [point for point in sent if point.send not in idle or point.number <= IDLE_TIMES]


def in_doubt(sent: list[Point]) -> Point:
    """Right after an effect, before anything remembers it: of those going back if there are any, the middle one."""
    turn = next((at for at, point in enumerate(sent) if point.send.startswith(TURNED_BACK)), 0)
    calls = [at for at, point in enumerate(sent) if at >= turn and is_about_a_step(point.send)]
    after = sent[calls[len(calls) // 2] :]
    return next(point for point in after if point.send.startswith(LOCKED) and not point.send.endswith(PREPARED))


def of_recovery(sent: list[Point], *, whole: bool) -> list[Point]:
    """What a life sends until the step that was in doubt is remembered: from then on it is as if nobody had died.

    Its start is the same for every saga, and left out unless `whole`.
    """
    begin = 0 if whole else next(at for at, point in enumerate(sent) if LOOKS_AFTER in point.send)
    call = next((at for at, point in enumerate(sent) if is_about_a_step(point.send)), len(sent))
    end = next((at for at in range(call, len(sent)) if sent[at].send.startswith(REMEMBERED)), len(sent) - 1)
    return sent[begin : end + 1]


def of_postgres(sent: list[Point], idle: set[str]) -> list[Point]:
    """When PostgreSQL is killed: at each commit, and while a receiver is asked."""
    commits = [point for point in sent if ": COMMIT after" in point.send and point.send not in idle]
    calls = [point for point in sent if is_about_a_step(point.send) or point.send == "call to look"]
    return [point for point in sent if point in commits or point in calls]
