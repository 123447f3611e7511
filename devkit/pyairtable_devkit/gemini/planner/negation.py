"""The "not" in front of a word: "not paid yet", "aren't clients", "other than Ana"."""

from __future__ import annotations

import re

_NOT = (
    r"(?:not|never|nor|neither|without|except(?:\s+for)?|exclud\w*|other\s+than|"
    r"(?:is|are|was|were|has|have|had|do|does|did)n['’ ]?t)"
)
# Up to three words may stand between ("not yet been paid"), but no new clause ("not done and which are paid").
_BEFORE = re.compile(rf"\b{_NOT}(?:\s+(?!(?:but|and|which|that|who|where)\b)[\w'’]+){{0,3}}\s*['\"“‘]?$", re.IGNORECASE)


def negation(text: str, start: int) -> str:
    """The words that negate what begins at `start` of the text, or ""."""
    found = _BEFORE.search(text[:start])
    return found.group() if found else ""
