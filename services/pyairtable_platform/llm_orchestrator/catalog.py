"""The table of models (models.yaml): which thinking knob a model has, and what it costs on a day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from .ports import Thinking, Usage

_MILLION = Decimal(1_000_000)
# What a number of tokens means to a model that knows levels only: Google's own mapping for its OpenAI-compatible API.
_LEVEL_UP_TO = ((1_024, "low"), (8_192, "medium"))


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Price(_Row):
    """US dollars per million tokens, valid from a day (and until one), for calls above a size."""

    since: date = Field(alias="from")
    until: date | None = None
    above: int = 0
    input: Decimal
    output: Decimal
    cached: Decimal | None

    def holds(self, day: date, input_tokens: int) -> bool:
        """Whether this price is for a call of that day and size."""
        return self.since <= day and (self.until is None or day <= self.until) and input_tokens >= self.above

    def of(self, usage: Usage) -> Decimal:
        """What a call costs; thinking is paid as output."""
        cached_price = self.input if self.cached is None else self.cached
        fresh = usage.input_tokens - usage.cached_tokens
        output = usage.output_tokens + usage.thinking_tokens
        return (fresh * self.input + usage.cached_tokens * cached_price + output * self.output) / _MILLION


class ModelInfo(_Row):
    """One model."""

    knob: Literal["budget", "level"]
    levels: tuple[str, ...] = ()
    budget: tuple[int, int] = (0, 0)
    can_stop_thinking: bool = False
    context_tokens: int
    output_tokens: int
    prices: tuple[Price, ...]

    def thinking(self, budget: int | None) -> Thinking:
        """Map THINKING_BUDGET to the knob of this model. None and -1 leave it to the model."""
        if budget is None or budget < 0:
            return Thinking()
        if self.knob == "budget":
            least, most = self.budget
            return Thinking(budget=0 if budget == 0 and self.can_stop_thinking else min(max(budget, least), most))
        return Thinking(level=self._level(budget))

    def _level(self, budget: int) -> str:
        if budget == 0:
            return self.levels[0]
        return next((level for most, level in _LEVEL_UP_TO if budget <= most), self.levels[-1])


class Catalog:
    """All models that we know; one that we do not know is used as it is, without a knob and without a price."""

    def __init__(self, models: dict[str, ModelInfo]) -> None:
        self._models = models

    def find(self, model: str) -> ModelInfo | None:
        """The model of that name, or None."""
        return self._models.get(model.removeprefix("models/"))

    def thinking(self, model: str, budget: int | None) -> Thinking:
        """The knob to turn for `budget` tokens of thinking."""
        info = self.find(model)
        return info.thinking(budget) if info else Thinking()

    def price(self, model: str, usage: Usage, day: date) -> Decimal | None:
        """Exact US dollars of one call, or None when no price is known for that model and day."""
        info = self.find(model)
        rows = [row for row in info.prices if row.holds(day, usage.input_tokens)] if info else []
        if not rows:
            return None
        return max(rows, key=lambda row: (row.above, row.since)).of(usage)


def load_catalog() -> Catalog:
    """The catalogue that ships with the service."""
    text = resources.files(__package__).joinpath("models.yaml").read_text(encoding="utf-8")
    return Catalog({name: ModelInfo(**row) for name, row in yaml.safe_load(text)["models"].items()})


def dollars(amount: Decimal | None) -> str:
    """An amount as callers see it: "0.000412" without an exponent, "0" for nothing, empty when unknown."""
    if amount is None:
        return ""
    return f"{amount.normalize():f}" if amount else "0"
