"""Regular expressions; see the package formula.regex for their syntax and limits."""

import re

from pyairtable_devkit.airtable.formula.context import Context
from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.regex import Match, find_all, find_first
from pyairtable_devkit.airtable.formula.registry import function
from pyairtable_devkit.airtable.formula.values import Internal, check_size

_GROUP = re.compile(r"\$(?:\$|([0-9]{1,2}))")


@function("REGEX_MATCH", "text", "text", result="number", context=True)
def regex_match(context: Context, text: str, pattern: str) -> Internal:
    """Whether some part of the text matches."""
    return int(find_first(context, pattern, text) is not None)


@function("REGEX_EXTRACT", "text", "text", result="text", context=True)
def regex_extract(context: Context, text: str, pattern: str) -> Internal:
    """The first part that matches; an error when none does."""
    match = find_first(context, pattern, text)
    if match is None:
        raise Uncomputable
    return match.group(0)


@function("REGEX_REPLACE", "text", "text", "text", result="text", context=True)
def regex_replace(context: Context, text: str, pattern: str, replacement: str) -> Internal:
    """Every part that matches replaced; $1 stands for the first group, $$ for a dollar sign."""
    parts: list[str] = []
    size = position = 0
    for match in find_all(context, pattern, text):
        parts += text[position : match.start], _expand(replacement, match)
        size += len(parts[-2]) + len(parts[-1])
        check_size(size)
        position = match.end
    check_size(size + len(text) - position)
    return "".join(parts) + text[position:]


def _expand(replacement: str, match: Match) -> str:
    if "$" not in replacement:
        return replacement

    def group(reference: re.Match[str]) -> str:
        if reference[1] is None:
            return "$"
        found = match.group(int(reference[1]))
        return str(reference[0]) if found is None else found

    return _GROUP.sub(group, replacement)
