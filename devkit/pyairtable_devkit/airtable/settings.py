"""What can be set about the emulator: limits, switches where the sources about Airtable disagree, latency.

The same names are accepted by `PATCH /_emulator/settings`.
"""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

PACKAGED_SEED = Path(__file__).parent / "seeds" / "acme.yaml"


class SettingsError(ValueError):
    """A setting that does not exist or cannot have the given value; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, with the defaults that docs/emulator-airtable.md explains. Durations are in seconds."""

    seed: Path = PACKAGED_SEED
    random_seed: int = 1

    limits: bool = True
    base_per_second: int = 5
    token_per_second: int = 50
    window: Literal["sliding", "fixed", "bucket"] = "sliding"
    penalty: float = 30.0
    penalty_scope: Literal["base", "token"] = "base"
    penalty_extends: bool = False
    retry_after: bool = False
    rate_limit_body: Literal["plural", "single"] = "plural"
    plan: Literal["free", "team", "business", "enterprise"] = "business"
    monthly_cap: int | None = None

    oversized_writes: Literal["refuse", "accept"] = "refuse"
    missing_record: Literal["403", "404"] = "403"
    unknown_base: Literal["404", "403"] = "404"
    odd_page_size: Literal["lenient", "strict"] = "lenient"
    computed_writes: Literal["refuse", "drop"] = "refuse"
    unparseable_body: Literal["422", "400"] = "422"

    profile: Literal["zero", "realistic"] = "zero"
    latency_scale: float = 1.0

    offset_lifetime: float = 600.0
    link_lifetime: float = 7200.0
    webhook_lifetime: float = 604800.0
    webhook_retry_delay: float = 10.0
    webhook_retries: int = 13
    webhook_timeout: float = 25.0
    max_body_bytes: int = 8 * 1024 * 1024
    log_entries: int = 20000

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON can hold them."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}

    def changed(self, changes: dict[str, Any]) -> "Settings":
        """These settings with some replaced; SettingsError names the first one that is wrong.

        The seeds are chosen at the start: changing them later would change nothing.
        """
        hints = get_type_hints(Settings)
        known = {field.name for field in fields(Settings)} - {"seed", "random_seed"}
        for name, value in changes.items():
            if name not in known:
                raise SettingsError(f"there is no setting {name!r}; there are: {', '.join(sorted(known))}")
            if not _fits(value, hints[name]):
                raise SettingsError(f"{name} cannot be {value!r}; it takes {_wanted(hints[name])}")
        return replace(self, **changes)


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if args := get_args(hint):
        return any(_fits(value, arg) for arg in args)
    if hint is bool:
        return isinstance(value, bool)
    if hint is type(None):
        return value is None
    numeric = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return numeric if hint is float else numeric and isinstance(value, int)


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if args := get_args(hint):
        return " or ".join(map(_wanted, args))
    names = {bool: "true or false", int: "a whole number from 0", float: "a number from 0", type(None): "null"}
    return names[hint]
