"""Names of workspaces: DNS labels, made of what people write."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Awaitable, Callable

from pyairtable_platform.common.errors import InvalidInput

LONGEST = 60
"""The namespace ws-NAME must be a DNS label too."""
_LONGEST_MADE = 40
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_TRIES = 1000


def require_name(name: str, field: str = "name") -> str:
    """A name of a workspace; raises InvalidInput."""
    if not is_label(name):
        raise InvalidInput.at(field, f"must be at most {LONGEST} lower-case letters, digits and hyphens")
    return name


def is_label(name: str) -> bool:
    """Whether a text can be a name as it is."""
    return len(name) <= LONGEST and _LABEL.fullmatch(name) is not None


def label(text: str, otherwise: str = "workspace") -> str:
    """A DNS label made of any text: "Café Zoë" is cafe-zoe. `otherwise` when nothing of it can stand there."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_MADE].strip("-")
    return found or otherwise


async def first_free(wanted: str, is_taken: Callable[[str], Awaitable[bool]]) -> str:
    """The name, or the first of name-2, name-3 ... that is free."""
    for number in itertools.count(1):
        suffix = "" if number == 1 else f"-{number}"
        name = wanted[: LONGEST - len(suffix)].rstrip("-") + suffix
        if number > _TRIES or not await is_taken(name):
            return name
    raise AssertionError("the numbers do not end")
