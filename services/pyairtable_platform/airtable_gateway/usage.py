"""Calls to Airtable counted by workspace, month and base, and the monthly budget.

Counting costs no call to the database: counts are kept here and written together once a second. Budgets are therefore
exact to the calls that other replicas made in the last second; what a replica counted and not yet wrote when it was
killed is lost, an orderly stop loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from pyairtable_platform.common.errors import QuotaExhausted, Reason, Unavailable
from pyairtable_platform.common.registry import Workspace

log = logging.getLogger(__name__)

Counted = tuple[str, str, str]
"""Tenant (`Workspace.tenant`), month as 2026-11, base id ("" for calls that concern no base)."""


class UsageStore(Protocol):
    """Where counts last. Methods raise Unavailable."""

    async def add_usage(self, counts: Mapping[Counted, int]) -> None:
        """Add all of these, or none."""

    async def usage(self, tenant: str, month: str) -> dict[str, int]:
        """Calls by base id."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Usage:
    """This replica's view of what was used."""

    store: UsageStore
    now: Callable[[], datetime] = utc_now
    _pending: Counter[Counted] = field(default_factory=Counter)
    _stored: dict[tuple[str, str], int] = field(default_factory=dict)
    _flushing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def month(self) -> str:
        """Airtable counts by calendar month (UTC is assumed; Airtable does not say)."""
        return self.now().strftime("%Y-%m")

    def count(self, tenant: str, base_id: str) -> None:
        """One call was made."""
        self._pending[(tenant, self.month(), base_id)] += 1

    async def check_budget(self, workspace: Workspace) -> None:
        """Raise QuotaExhausted when the workspace has used up its monthly calls."""
        budget = workspace.monthly_call_budget
        if not budget:
            return
        tenant, month = workspace.tenant, self.month()
        if (tenant, month) not in self._stored:
            await self._refresh(tenant, month)
        used = self._stored[(tenant, month)] + self._pending_of(tenant, month)
        if used >= budget:
            raise QuotaExhausted(
                f'workspace "{workspace.name}" has used its {budget} calls to Airtable for {month} '
                "(spec.airtable.monthlyCallBudget); it can call again next month or with a larger budget",
                reason=Reason.QUOTA_EXHAUSTED,
                workspace=workspace.name,
                limit=str(budget),
            )

    async def by_base(self, tenant: str) -> tuple[str, dict[str, int]]:
        """This month and its calls by base id."""
        month = self.month()
        async with self._flushing:  # lest a call be counted on both sides or on none
            total = Counter(await self.store.usage(tenant, month))
            for (whose, when, base_id), calls in self._pending.items():
                if (whose, when) == (tenant, month):
                    total[base_id] += calls
        return month, dict(total)

    async def keep_flushing(self, every_seconds: float) -> None:
        """Write counts for ever. When the database is away they wait."""
        while True:
            await asyncio.sleep(every_seconds)
            await self.flush()

    async def flush(self) -> None:
        """Write what was counted, and learn what other replicas have counted for the same tenants."""
        async with self._flushing:
            writing = Counter(self._pending)
            try:
                if writing:
                    await self.store.add_usage(writing)
                    self._pending.subtract(writing)
                    self._pending += Counter()  # drop what is zero now
                    for (tenant, month, _), calls in writing.items():
                        if (tenant, month) in self._stored:
                            self._stored[(tenant, month)] += calls
                for tenant, month in {(tenant, month) for tenant, month, _ in writing} | self._stored.keys():
                    await self._refresh(tenant, month)
            except Unavailable:
                log.warning("counted calls wait for the database", extra={"calls": self._pending.total()})

    async def _refresh(self, tenant: str, month: str) -> None:
        if month < self.month():
            self._stored.pop((tenant, month), None)
            return
        self._stored[(tenant, month)] = sum((await self.store.usage(tenant, month)).values())

    def _pending_of(self, tenant: str, month: str) -> int:
        return sum(calls for (whose, when, _), calls in self._pending.items() if (whose, when) == (tenant, month))
