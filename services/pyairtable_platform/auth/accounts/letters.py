"""PostgreSQL: letters that wait to be sent, and the tokens in them. All in the caller's transaction.

A letter to an address without an account is written too, and dropped: what happens must take the same time for all.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from . import templates
from .records import Account
from .rules import deliverable
from .sealing import RESET_PREFIX, VERIFY_PREFIX, Secrets, new_letter_token, sha256

VERIFY = "verify"
RESET = "reset"

_PREFIXES = {VERIFY: VERIFY_PREFIX, RESET: RESET_PREFIX}
_LIFETIMES = {VERIFY: timedelta(days=1), RESET: timedelta(hours=1)}
_WORTH_SENDING = timedelta(days=3)
LEASE = timedelta(minutes=2)
"""So long a letter is one sender's: longer than an attempt to send it may take."""
_LONGEST_PAUSE = timedelta(minutes=15)
_KEPT = timedelta(days=90)

_END_TOKENS = text(
    "UPDATE letter_tokens SET used_at = clock_timestamp() "
    "WHERE user_id = :user_id AND purpose = :purpose AND used_at IS NULL"
)
_ADD_TOKEN = text(
    "INSERT INTO letter_tokens (sha256, purpose, user_id, expires_at) "
    "VALUES (:sha256, :purpose, :user_id, clock_timestamp() + :lifetime)"
)
_COUNTS = "sha256 = :sha256 AND purpose = :purpose AND used_at IS NULL AND expires_at > clock_timestamp()"
_WHOSE = text(f"SELECT user_id FROM letter_tokens WHERE {_COUNTS}")  # noqa: S608
_REDEEM = text(f"UPDATE letter_tokens SET used_at = clock_timestamp() WHERE {_COUNTS} RETURNING 1")  # noqa: S608
_ADD = text(
    "INSERT INTO letters (key, template, user_id, sealed, state, expires_at) "
    "VALUES (:key, :template, :user_id, :sealed, :state, clock_timestamp() + :worth)"
)
# SKIP LOCKED and the lease: of two senders each takes letters of its own, and those of a dead one come up again.
_TAKE = text(
    "UPDATE letters SET attempts = attempts + 1, next_at = clock_timestamp() + :lease WHERE letter_id = ("
    "SELECT letter_id FROM letters WHERE state = 'queued' AND next_at <= clock_timestamp() "
    "ORDER BY next_at FOR UPDATE SKIP LOCKED LIMIT 1) "
    "RETURNING letter_id, key, template, sealed, attempts, expires_at <= clock_timestamp() AS is_late"
)
_SETTLED = text(
    "UPDATE letters SET state = :state, sealed = NULL, last_error = :error, "
    "sent_at = CASE WHEN :state = 'sent' THEN clock_timestamp() END WHERE letter_id = :letter_id AND state = 'queued'"
)
_LATER = text(
    "UPDATE letters SET next_at = clock_timestamp() + :pause, last_error = :error "
    "WHERE letter_id = :letter_id AND state = 'queued'"
)
_QUEUED = text("SELECT count(*) FROM letters WHERE state = 'queued'")
_OF_PERSON = text(
    "SELECT template, state, created_at, sent_at FROM letters WHERE user_id = :user_id AND state <> 'dropped' "
    "ORDER BY letter_id"
)
_DROP = text(
    "UPDATE letters SET state = CASE state WHEN 'queued' THEN 'dropped' ELSE state END, sealed = NULL, user_id = '' "
    "WHERE user_id = :user_id"
)
_DELETE_TOKENS = text("DELETE FROM letter_tokens WHERE user_id = :user_id")
_CLEAN = text(
    "DELETE FROM letters WHERE state <> 'queued' AND created_at < clock_timestamp() - CAST(:kept AS interval)"
)
_CLEAN_TOKENS = text("DELETE FROM letter_tokens WHERE expires_at < clock_timestamp() - interval '1 day'")


@dataclass(frozen=True)
class Waiting:
    """A letter that one sender holds for a while."""

    letter_id: int
    key: str
    template: str
    sealed: bytes
    attempts: int
    is_late: bool


async def write(
    connection: AsyncConnection,
    secrets: Secrets,
    template: str,
    to: Account | None,
    *,
    is_wanted: bool = True,
    **values: str,
) -> None:
    """Queue a letter to an account; dropped when there is none or it is not wanted."""
    recipient = to.email if to else "nobody@example.invalid"
    names = {"display_name": to.display_name if to else "nobody", "user_name": to.user_name if to else "nobody"}
    await _add(
        connection,
        secrets,
        uuid.uuid4().hex,
        template,
        recipient,
        names | values,
        user_id=to.user_id if to else "",
        is_wanted=is_wanted and to is not None,
        worth=_LIFETIMES.get(template, _WORTH_SENDING),
    )


async def write_with_token(
    connection: AsyncConnection, secrets: Secrets, purpose: str, to: Account | None, *, is_wanted: bool = True
) -> None:
    """Queue a letter with a new token; earlier ones of its purpose end, but not for a letter that is not wanted."""
    token = new_letter_token(_PREFIXES[purpose])
    user_id = to.user_id if to and is_wanted else uuid.uuid4().hex
    names = {"user_id": user_id, "purpose": purpose}
    await connection.execute(_END_TOKENS, names)
    await connection.execute(_ADD_TOKEN, {**names, "sha256": sha256(token), "lifetime": _LIFETIMES[purpose]})
    await write(connection, secrets, purpose, to, is_wanted=is_wanted, token=token)


async def write_to_address(
    connection: AsyncConnection,
    secrets: Secrets,
    key: str,
    template: str,
    recipient: str,
    values: Mapping[str, str],
    user_id: str = "",
) -> None:
    """Queue a letter that a service asked for. The key becomes its Message-ID."""
    await _add(
        connection, secrets, key, template, recipient, values, user_id=user_id, is_wanted=True, worth=_WORTH_SENDING
    )


async def end_tokens(connection: AsyncConnection, user_id: str, purpose: str) -> None:
    """End the tokens of a person that were not used."""
    await connection.execute(_END_TOKENS, {"user_id": user_id, "purpose": purpose})


async def whose(connection: AsyncConnection, purpose: str, token: str) -> str:
    """Whose a token is that counts now; empty when none."""
    found = await connection.execute(_WHOSE, {"sha256": sha256(token), "purpose": purpose})
    return str(found.scalar() or "")


async def redeem(connection: AsyncConnection, purpose: str, token: str) -> bool:
    """Use a token; False when it does not count (any more). Of many at once one gets True."""
    found = await connection.execute(_REDEEM, {"sha256": sha256(token), "purpose": purpose})
    return found.first() is not None


async def take(connection: AsyncConnection) -> Waiting | None:
    """The next letter to send, if there is one."""
    row = (await connection.execute(_TAKE, {"lease": LEASE})).first()
    if row is None:
        return None
    return Waiting(row.letter_id, row.key, row.template, bytes(row.sealed), row.attempts, bool(row.is_late))


async def settle(connection: AsyncConnection, letter_id: int, state: str, error: str = "") -> None:
    """A letter was sent, or never will be. What it said is forgotten."""
    await connection.execute(_SETTLED, {"letter_id": letter_id, "state": state, "error": error})


async def put_off(connection: AsyncConnection, waiting: Waiting, error: str) -> None:
    """Try a letter again later, each time after a longer pause."""
    pause = min(timedelta(seconds=2 ** min(waiting.attempts, 12)), _LONGEST_PAUSE)
    await connection.execute(_LATER, {"letter_id": waiting.letter_id, "pause": pause, "error": error})


async def queued(connection: AsyncConnection) -> int:
    """How many letters wait."""
    return int((await connection.execute(_QUEUED)).scalar_one())


async def of_person(connection: AsyncConnection, user_id: str) -> list[Any]:
    """Rows of template, state, created_at and sent_at."""
    return list(await connection.execute(_OF_PERSON, {"user_id": user_id}))


async def disown(connection: AsyncConnection, user_id: str) -> int:
    """Make a person's letters nobody's, and end their tokens; how many letters."""
    await connection.execute(_DELETE_TOKENS, {"user_id": user_id})
    return (await connection.execute(_DROP, {"user_id": user_id})).rowcount


async def clean(connection: AsyncConnection) -> None:
    """Delete letters and tokens that nobody can ask about any more."""
    await connection.execute(_CLEAN, {"kept": _KEPT})
    await connection.execute(_CLEAN_TOKENS)


async def _add(
    connection: AsyncConnection,
    secrets: Secrets,
    key: str,
    template: str,
    recipient: str,
    values: Mapping[str, str],
    *,
    user_id: str,
    is_wanted: bool,
    worth: timedelta,
) -> None:
    if absent := templates.missing_values(template, values):
        raise ValueError(f"the letter {template} needs {', '.join(absent)}")
    sealed = secrets.seal(key, {**values, "to": deliverable(recipient)})
    row = {
        "key": key,
        "template": template,
        "user_id": user_id,
        "sealed": sealed if is_wanted else None,
        "state": "queued" if is_wanted else "dropped",
        "worth": worth,
    }
    await connection.execute(_ADD, row)
