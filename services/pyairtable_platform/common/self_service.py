"""What workspaces that people make themselves may spend on the installation's own key for the model.

The workspaces service refuses what goes beyond it, and the orchestrator holds to it whatever the registry says.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from .errors import InvalidInput
from .settings import COMMON, comma_separated
from .workspace import LlmPolicy, Workspace


class SelfServiceSettings(BaseSettings):
    """Bounds of workspaces that calls made and that have no key of their own. The same for `workspaces` and
    `llm-orchestrator`."""

    model_config = COMMON

    self_service_monthly_cost: str = Field(default="25.00", pattern=r"^([0-9]{1,9}(\.[0-9]{1,6})?)?$")
    """US dollars that the chats of a workspace that a person made may cost in a calendar month (UTC), unless it has a
    key for the model of its own. Empty: no bound. The same for `workspaces` and `llm-orchestrator`."""

    self_service_models: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated models that a workspace may choose which a person made, unless it has a key of its own; beside
    GEMINI_MODEL. Empty: any. The same for `workspaces` and `llm-orchestrator`."""

    @field_validator("self_service_models", mode="before")
    @classmethod
    def split_models(cls, value: object) -> object:
        return comma_separated(value)

    def bounds(self) -> Bounds:
        """The bounds as values."""
        cost = self.self_service_monthly_cost
        return Bounds(Decimal(cost) if cost else None, frozenset(self.self_service_models))


@dataclass(frozen=True)
class Bounds:
    """Upper bounds. `monthly_cost` in US dollars, None for none; empty `models` are any."""

    monthly_cost: Decimal | None = None
    models: frozenset[str] = frozenset()

    def binds(self, workspace: Workspace) -> bool:
        """Whether a workspace is held to them: a call made it, and it spends the installation's money."""
        return workspace.made_by_call and workspace.llm.api_key is None

    def allows_model(self, workspace: Workspace) -> bool:
        """Whether a workspace may use the model that it chose; none is the installation's."""
        model = workspace.llm.model
        return not (model and self.models and model not in self.models and self.binds(workspace))

    def limit_of(self, workspace: Workspace) -> Decimal | None:
        """What the chats of a workspace may cost in a month: its own limit, and no more than the bound."""
        own = workspace.llm.monthly_cost_limit
        limits = [Decimal(own)] if own else []
        if self.monthly_cost is not None and self.binds(workspace):
            limits.append(self.monthly_cost)
        return min(limits, default=None)

    def check(self, wanted: Workspace) -> None:
        """Raise InvalidInput for a policy beyond the bounds, naming what is allowed."""
        if not self.allows_model(wanted):
            allowed = ", ".join(sorted(self.models))
            text = f"must be one of {allowed}, or empty for the installation's (SELF_SERVICE_MODELS)"
            raise InvalidInput.at("llm.model", text)
        own: LlmPolicy = wanted.llm
        if not (own.monthly_cost_limit and self.monthly_cost is not None and self.binds(wanted)):
            return
        if Decimal(own.monthly_cost_limit) > self.monthly_cost:
            text = f"must be at most {self.monthly_cost}, or empty for that (SELF_SERVICE_MONTHLY_COST)"
            raise InvalidInput.at("llm.monthly_cost_limit", text)
