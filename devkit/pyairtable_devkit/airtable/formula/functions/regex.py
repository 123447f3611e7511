"""Regular expressions; the syntax is RE2's, the guard against costly ones is in patterns.py."""

import re

from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.patterns import find_all, find_first
from pyairtable_devkit.airtable.formula.registry import function
from pyairtable_devkit.airtable.formula.values import Internal, check_size

_GROUP = re.compile(r"\$(?:\$|([0-9]{1,2}))")


@function("REGEX_MATCH", "text", "text", result="number")
def regex_match(text: str, pattern: str) -> Internal:
    """Whether some part of the text matches."""
    return int(find_first(pattern, text) is not None)


@function("REGEX_EXTRACT", "text", "text", result="text")
def regex_extract(text: str, pattern: str) -> Internal:
    """The first part that matches; an error when none does."""
    match = find_first(pattern, text)
    if match is None:
        raise Uncomputable
    return match[0]


@function("REGEX_REPLACE", "text", "text", "text", result="text")
def regex_replace(text: str, pattern: str, replacement: str) -> Internal:
    """Every part that matches replaced; $1 stands for the first group, $$ for a dollar sign."""
    parts: list[str] = []
    size = position = 0
    for match in find_all(pattern, text):
        parts += text[position : match.start()], _expand(replacement, match)
        size += len(parts[-2]) + len(parts[-1])
        check_size(size)
        position = match.end()
    check_size(size + len(text) - position)
    return "".join(parts) + text[position:]


def _expand(replacement: str, match: re.Match[str]) -> str:
    if "$" not in replacement:
        return replacement

    def group(reference: re.Match[str]) -> str:
        if reference[1] is None:
            return "$"
        number = int(reference[1])
        return (match[number] or "") if number <= match.re.groups else str(reference[0])

    return _GROUP.sub(group, replacement)
