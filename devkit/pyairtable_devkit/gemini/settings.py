"""What can be set: on the command line, by a test, and while it runs over /_emulator/settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

API_KEY = "emulator-gemini-key"
LatencyProfile = Literal["zero", "realistic"]

# (seconds to the first token, seconds per token): what flash models show in public benchmarks, rounded.
LATENCY: dict[LatencyProfile, tuple[float, float]] = {"zero": (0.0, 0.0), "realistic": (0.6, 0.005)}


class SettingsError(ValueError):
    """A setting that does not exist or has a value out of range."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one emulator.

    `first_token_seconds` and `token_seconds` override the profile when set; `requests_per_minute` is per
    model, None for no limit; `cache_minimum_tokens` is the shortest prefix that implicit caching counts;
    `obey_injection` makes the planner follow instructions that it finds in tool results, for tests of a
    client's guards.
    """

    api_key: str = API_KEY
    latency: LatencyProfile = "zero"
    first_token_seconds: float | None = None
    token_seconds: float | None = None
    requests_per_minute: int | None = None
    cache_minimum_tokens: int = 1024
    chunk_tokens: int = 12
    check_signatures: bool = True
    obey_injection: bool = False

    @property
    def seconds_to_first_token(self) -> float:
        """Delay before the first token."""
        return LATENCY[self.latency][0] if self.first_token_seconds is None else self.first_token_seconds

    @property
    def seconds_per_token(self) -> float:
        """Delay per generated token."""
        return LATENCY[self.latency][1] if self.token_seconds is None else self.token_seconds

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON can hold them."""
        return asdict(self)

    def changed(self, changes: dict[str, Any]) -> Settings:
        """These settings with some replaced; SettingsError names the first one that is wrong."""
        hints = get_type_hints(Settings)
        for name, value in changes.items():
            if name not in hints:
                raise SettingsError(f"there is no setting {name!r}; there are: {', '.join(sorted(hints))}")
            if not _fits(value, hints[name]) or (name in _AT_LEAST_ONE and value == 0):
                raise SettingsError(f"{name} cannot be {value!r}")
        return replace(self, **changes)


_AT_LEAST_ONE = {"chunk_tokens", "requests_per_minute"}


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if choices := get_args(hint):
        return any(_fits(value, choice) for choice in choices)
    if hint in (bool, str, type(None)):
        return isinstance(value, hint) and value != ""
    numeric = isinstance(value, int) if hint is int else isinstance(value, int | float)
    return numeric and not isinstance(value, bool) and value >= 0
