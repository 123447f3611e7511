"""Whether a workspace may begin another turn: by its model, and by what its chats cost this month."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from pyairtable_platform.common.errors import FailedPrecondition, QuotaExhausted, Reason
from pyairtable_platform.common.registry import Workspace
from pyairtable_platform.common.self_service import Bounds

from .catalog import dollars


class Costs(Protocol):
    """Who knows what chats cost."""

    async def cost_of_month(self, tenant: str) -> Decimal: ...


class Spending:
    """Looks at a workspace before each turn. A turn that has begun goes on: it may go beyond the limit by its cost."""

    def __init__(self, costs: Costs, bounds: Bounds) -> None:
        self._costs = costs
        self._bounds = bounds

    async def require(self, workspace: Workspace) -> None:
        """Raise FailedPrecondition for a model that it may not use, QuotaExhausted when the month's money is spent."""
        if not self._bounds.allows_model(workspace):
            raise FailedPrecondition(
                f'workspace "{workspace.name}" may not use the model {workspace.llm.model} on the installation\'s key: '
                f"choose one of {', '.join(sorted(self._bounds.models))}, or none",
                reason=Reason.MODEL_REFUSED,
                workspace=workspace.name,
            )
        limit = self._bounds.limit_of(workspace)
        if limit is None:
            return
        spent = await self._costs.cost_of_month(workspace.tenant)
        if spent >= limit:
            raise QuotaExhausted(
                f'the chats of workspace "{workspace.name}" have cost {dollars(spent)} of {dollars(limit)} US dollars '
                "this month: go on next month (UTC), or raise llm.monthly_cost_limit as far as the installation allows",
                workspace=workspace.name,
                limit="monthly_cost",
            )
