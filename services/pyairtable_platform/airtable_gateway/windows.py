"""What counts against a limit, and how a permit for a call is asked for.

Airtable counts calls as they arrive, and we only know when we send. So every permit holds a place in its window until
one second after the *latest* moment at which its call can have arrived, and that moment is learnt in three steps:

    granted   latest arrival = start + lease    (the call is not on its way yet; a replica may die here)
    sent      latest arrival = now + jitter     (its last byte is written; the network may still hold it)
    answered  latest arrival = now              (an answer proves the arrival)

A call is never sent before its permit begins, so the sixth call arrives more than a second after the first whatever the
two of them met on their way, as long as the network delays no call by more than `jitter`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

SHORTEST_WAIT = 0.005
"""Seconds. The clocks of a store and of its callers differ in their grain: a wait below it has passed at once for the
caller and not at all for the store, which would be asked again and again.
"""
GRANT_AHEAD = 0.04
"""Permits are granted up to so many seconds before their time, so that the way from the store costs nothing of it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The numbers of the limiter. Durations are in seconds."""

    base_limit: int = 5
    """Calls a second per base (Airtable docs: rate limits)."""
    token_limit: int = 50
    """Calls a second per token. Airtable counts all tokens of a user together, and a token does not tell its user."""
    jitter: float = 0.04
    """How much longer than another call a call may take to Airtable. 5 / (1 + jitter) calls a second remain."""
    replicas: int = 1
    """The most gateway processes that may run at once, a surge during an update included."""
    lease: float = 1.0
    """How long a granted permit may wait to be sent."""
    presence: float = 2.0
    """A replica that the store has not heard of for so long counts as cut off, working with its own share."""
    reach: float = 0.25
    """A question to the store that takes longer is void."""
    penalty: float = 30.0
    """Airtable refuses everything for so long after a 429 (Airtable docs: rate limits)."""
    longest_penalty: float = 120.0
    """Retry-After is honoured up to here."""

    @property
    def hold(self) -> float:
        """After so long, nothing that was granted before can count against a window any more."""
        return 1.0 + self.jitter + self.lease

    def share(self, limit: int, replicas: int | None = None) -> int:
        """What one replica may do alone without exceeding the limit together with all others; 0 means nothing."""
        return math.floor(limit / (replicas or self.replicas))

    def shared_limit(self, limit: int, present: int) -> int:
        """What the connected replicas may do together while the absent ones may be using their shares."""
        absent = max(0, self.replicas - present)
        return limit - absent * self.share(limit)


class Window:
    """The calls that count now, each by the latest moment at which it can have arrived."""

    def __init__(self) -> None:
        self._latest: dict[str, float] = {}

    def place_at(self, now: float, limit: int, *, ahead: int = 0, expected_by: Pace | None = None) -> float:
        """The moment from which there is a place for a call behind `ahead` others.

        With `expected_by` a guess, in which calls that were granted are sent at once; otherwise it is certain.
        """
        self._latest = {permit: latest for permit, latest in self._latest.items() if latest + 1.0 > now}
        if limit <= ahead:
            return now + 1.0
        moments = list(self._latest.values())
        if expected_by is not None:
            moments = [self._expected(latest, now, expected_by) for latest in moments]
        must_leave = len(moments) + ahead - limit  # 0: the first to leave makes room
        return sorted(moments)[must_leave] + 1.0 if must_leave >= 0 else now

    @staticmethod
    def _expected(latest: float, now: float, pace: Pace) -> float:
        is_leased = latest > now + GRANT_AHEAD + pace.jitter
        return max(now, latest - pace.lease + pace.jitter) if is_leased else latest

    def grant(self, permit: str, start: float, pace: Pace) -> None:
        """Take a place for a call that is not sent before `start`."""
        self._latest[permit] = start + pace.lease

    def lower(self, permit: str, latest: float) -> None:
        """The call has arrived by `latest` at the latest."""
        if permit in self._latest:
            self._latest[permit] = min(self._latest[permit], latest)

    def release(self, permit: str) -> None:
        """The call was not sent and will not be."""
        self._latest.pop(permit, None)


@dataclass(frozen=True, slots=True)
class Ask:
    """A question for a permit. The first window is the one in which replicas queue."""

    permit: str
    windows: tuple[tuple[str, int], ...]
    """Name and limit of each, for example ("base:app...", 5), ("token:...", 50)."""
    bulk: bool = False
    """Bulk work stands back a little behind interactive work of other replicas."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.windows)


@dataclass(frozen=True, slots=True)
class Granted:
    """The call may be sent."""

    present: int = 1
    """Replicas that the store knows of."""
    delay: float = 0.0
    """Not before so many seconds from now, at most GRANT_AHEAD."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again in so many seconds."""

    seconds: float
    paused: bool = False
    """True: Airtable refuses calls until then, so that nothing can be done before."""


Answer = Granted | Wait


class StoreAway(Exception):
    """The shared store did not answer in time, or its clock was changed."""


class PermitStore(Protocol):
    """The windows that all replicas share. Every method raises StoreAway."""

    async def ask(self, ask: Ask) -> Answer:
        """Grant a permit, or say when to ask again."""

    async def beat(self, *, join: bool) -> int:
        """Show that this replica lives, and count those that do. Without `join` it only asks."""

    async def sent(self, ask: Ask) -> None:
        """The call of this permit has just been written."""

    async def answered(self, ask: Ask) -> None:
        """The call of this permit has just been answered."""

    async def release(self, ask: Ask) -> None:
        """The permit will not be used."""

    async def pause(self, name: str, seconds: float) -> None:
        """Grant nothing in this window for so long."""
