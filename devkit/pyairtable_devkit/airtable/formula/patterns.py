"""temporary"""

import re
from collections.abc import Iterator

from pyairtable_devkit.airtable.formula.errors import Uncomputable


def find_all(pattern: str, text: str) -> Iterator[re.Match[str]]:
    """Non-overlapping matches from left to right."""
    try:
        return re.finditer(pattern, text)
    except re.error:
        raise Uncomputable from None


def find_first(pattern: str, text: str) -> re.Match[str] | None:
    """The first match."""
    return next(find_all(pattern, text), None)
