"""The models the emulator knows, as data: limits, thinking knobs, and what each one refuses.

Source: Google AI docs (models, thinking, thought signatures) as of November 2026. Prices are no concern of
the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

THINKING_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
METHODS = ("generateContent", "countTokens", "createCachedContent", "batchGenerateContent")


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the table.

    `levels` is empty for the models of the budget era (2.5). `budget` is the inclusive range of a positive
    thinking budget; -1 (dynamic) is always allowed, 0 only where `can_stop_thinking`.
    """

    name: str
    display_name: str
    version: str
    levels: tuple[str, ...]
    default_level: str
    budget: tuple[int, int]
    can_stop_thinking: bool
    thinks_by_default: bool
    needs_signatures: bool
    input_tokens: int = 1_048_576
    output_tokens: int = 65_536

    @property
    def gives_call_ids(self) -> bool:
        """Whether function calls carry an id: since Gemini 3 each does (Google AI docs: function calling)."""
        return bool(self.levels)

    def describe(self) -> dict[str, Any]:
        """The resource as `models.get` answers it."""
        return {
            "name": f"models/{self.name}",
            "version": self.version,
            "displayName": self.display_name,
            "description": f"{self.display_name}, played by an emulator.",
            "inputTokenLimit": self.input_tokens,
            "outputTokenLimit": self.output_tokens,
            "supportedGenerationMethods": list(METHODS),
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "maxTemperature": 2,
            "thinking": True,
        }


def _three(name: str, title: str, *, minimal: bool, default: str) -> Model:
    return Model(
        name=name,
        display_name=title,
        version="001",
        levels=THINKING_LEVELS if minimal else THINKING_LEVELS[1:],
        default_level=default,
        budget=(1, 32_768),
        can_stop_thinking=minimal,
        thinks_by_default=default != "MINIMAL",
        needs_signatures=True,
    )


def _two_five(name: str, title: str, *, lowest: int, thinks: bool) -> Model:
    return Model(
        name=name,
        display_name=title,
        version="001",
        levels=(),
        default_level="",
        budget=(lowest, 24_576),
        can_stop_thinking=True,
        thinks_by_default=thinks,
        needs_signatures=False,
    )


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        _three("gemini-3.8-flash", "Gemini 3.8 Flash", minimal=False, default="MEDIUM"),
        _three("gemini-3.5-flash-lite", "Gemini 3.5 Flash-Lite", minimal=True, default="MINIMAL"),
        _three("gemini-3.1-flash-lite", "Gemini 3.1 Flash-Lite", minimal=True, default="MINIMAL"),
        _three("gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview", minimal=False, default="HIGH"),
        _two_five("gemini-2.5-flash", "Gemini 2.5 Flash", lowest=1, thinks=True),
        _two_five("gemini-2.5-flash-lite", "Gemini 2.5 Flash-Lite", lowest=512, thinks=False),
    )
}

# The *-latest names exist on v1beta only (google-genai 3.x README).
LATEST_ALIASES = {
    "gemini-flash-latest": "gemini-3.8-flash",
    "gemini-flash-lite-latest": "gemini-3.5-flash-lite",
}


def find_model(name: str, version: str) -> Model | None:
    """The model of that name under that API version ("v1" or "v1beta"), or None."""
    if version == "v1beta":
        name = LATEST_ALIASES.get(name, name)
    return MODELS.get(name)
