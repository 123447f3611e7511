"""Airtable's call limits as pure rules over a given time (Airtable docs: rate limits; help: API call limits).

5 calls a second per base, 50 per user over all its tokens, then refusal for a while; a monthly cap per
workspace that depends on the plan. Each check costs the same however many calls came before.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pyairtable_devkit.airtable.settings import Settings

PLAN_CAPS: dict[str, int | None] = {"free": 1_000, "team": 100_000, "business": None, "enterprise": None}
TEAM_SLOW_RATE = 2
"""Calls a second on the Team plan once its cap is used up (help centre, 2026-08)."""

Refusal = Literal["rate", "billing"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call goes through; if not, why and how many seconds until one would."""

    refusal: Refusal | None = None
    wait: float = 0.0


ACCEPTED = Verdict()


@dataclass(slots=True)
class _Window:
    """The calls accepted lately under one key."""

    times: deque[float] = field(default_factory=deque)
    slot: int = -1
    in_slot: int = 0
    level: float = 0.0
    filled_at: float | None = None

    def wait(self, now: float, rate: int, kind: str) -> float:
        """Seconds until one more call fits, 0 when it fits now."""
        if kind == "fixed":
            return 0.0 if self.slot != int(now) or self.in_slot < rate else int(now) + 1 - now
        if kind == "bucket":
            level = self._level(now, rate)
            return 0.0 if level >= 1 else (1 - level) / max(rate, 1)
        if len(self.times) < rate:
            return 0.0
        return max(0.0, 1.0 - (now - self.times[-rate])) if rate else 1.0

    def add(self, now: float, rate: int) -> None:
        self.times.append(now)
        while len(self.times) > max(rate, 1):
            self.times.popleft()
        self.level = self._level(now, rate) - 1
        self.filled_at = now
        if self.slot != int(now):
            self.slot, self.in_slot = int(now), 0
        self.in_slot += 1

    def _level(self, now: float, rate: int) -> float:
        if self.filled_at is None:
            return float(rate)
        return min(float(rate), self.level + (now - self.filled_at) * rate)


@dataclass(slots=True)
class Limiter:
    """Decides each call by base, user and workspace."""

    _windows: dict[str, _Window] = field(default_factory=dict)
    _penalties: dict[str, float] = field(default_factory=dict)
    month: tuple[int, int] = (0, 0)
    used: dict[str, int] = field(default_factory=dict)
    """Calls accepted this month by workspace id."""

    def check(
        self,
        settings: Settings,
        *,
        now: float,
        today: datetime,
        user_id: str,
        base_id: str | None,
        workspace_id: str | None,
        is_metadata: bool,
    ) -> Verdict:
        """Counts the call if it goes through. `now` is monotonic, `today` says which month it is."""
        if not settings.limits:
            return ACCEPTED
        over_cap = self._over_cap(settings, today, workspace_id)
        if over_cap and settings.plan != "team" and not is_metadata:
            return Verdict("billing")
        rates = {f"user {user_id}": settings.token_per_second}
        if base_id is not None:
            slow = over_cap and settings.plan == "team"
            rates[f"base {base_id}"] = TEAM_SLOW_RATE if slow else settings.base_per_second
        wait = self._wait(settings, rates, now)
        if wait > 0:
            return Verdict("rate", wait)
        for key, rate in rates.items():
            self._windows.setdefault(key, _Window()).add(now, rate)
        if workspace_id is not None:
            self.used[workspace_id] = self.used.get(workspace_id, 0) + 1
        return ACCEPTED

    def _over_cap(self, settings: Settings, today: datetime, workspace_id: str | None) -> bool:
        month = (today.year, today.month)
        if month != self.month:
            self.month = month
            self.used.clear()
        cap = settings.monthly_cap if settings.monthly_cap is not None else PLAN_CAPS[settings.plan]
        return cap is not None and workspace_id is not None and self.used.get(workspace_id, 0) >= cap

    def _wait(self, settings: Settings, rates: dict[str, int], now: float) -> float:
        """Seconds this call comes too early; a call that exceeds a rate starts the penalty."""
        keys = self._penalty_keys(settings, rates)
        left = max((self._penalties.get(key, 0.0) - now for key in keys), default=0.0)
        if left > 0:
            if settings.penalty_extends:
                self._punish(keys, now + settings.penalty)
                return settings.penalty
            return left
        waits = {
            key: self._windows.setdefault(key, _Window()).wait(now, rate, settings.window)
            for key, rate in rates.items()
        }
        exceeded = [key for key, wait in waits.items() if wait > 0]
        if not exceeded:
            return 0.0
        by_token = settings.penalty_scope == "token"
        self._punish(keys if by_token else exceeded, now + settings.penalty)
        return max(settings.penalty, *waits.values())

    def _penalty_keys(self, settings: Settings, rates: dict[str, int]) -> list[str]:
        """Which penalties concern the call: all of its keys, or the user's alone."""
        if settings.penalty_scope == "token":
            return [key for key in rates if key.startswith("user ")]
        return list(rates)

    def _punish(self, keys: list[str], until: float) -> None:
        for key in keys:
            self._penalties[key] = max(until, self._penalties.get(key, 0.0))
