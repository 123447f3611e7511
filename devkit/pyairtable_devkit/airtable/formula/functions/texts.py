"""Text functions; positions count from 1, lists arrive as their joined text."""

import math
from urllib.parse import quote

from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.registry import function
from pyairtable_devkit.airtable.formula.values import MAX_TEXT, Internal, check_size, single


def _whole(number: float) -> int:
    """A count or position as a harmless integer: NaN is 0, sizes end where texts do."""
    if math.isnan(number):
        return 0
    return int(max(-1, min(number, MAX_TEXT + 1)))


@function("CONCATENATE", "text", "text*", result="text")
def concatenate(*texts: str) -> Internal:
    check_size(sum(map(len, texts)))
    return "".join(texts)


@function("LEN", "text", result="number")
def len_(text: str) -> Internal:
    return len(text)


@function("LEFT", "text", "number", result="text")
def left(text: str, count: float) -> Internal:
    return text[: max(_whole(count), 0)]


@function("RIGHT", "text", "number", result="text")
def right(text: str, count: float) -> Internal:
    return text[max(len(text) - max(_whole(count), 0), 0) :]


@function("MID", "text", "number", "number", result="text")
def mid(text: str, start: float, count: float) -> Internal:
    first = max(_whole(start) - 1, 0)
    return text[first : first + max(_whole(count), 0)]


@function("REPLACE", "text", "number", "number", "text", result="text")
def replace(text: str, start: float, count: float, replacement: str) -> Internal:
    first = max(_whole(start) - 1, 0)
    check_size(len(text) + len(replacement))
    return text[:first] + replacement + text[first + max(_whole(count), 0) :]


@function("SUBSTITUTE", "text", "text", "text", "number?", result="text")
def substitute(text: str, old: str, new: str, index: float = 0) -> Internal:
    """Every occurrence, or only the one numbered `index`."""
    if not old:
        return text
    if _whole(index) < 1:
        check_size(len(text) + text.count(old) * (len(new) - len(old)))
        return text.replace(old, new)
    check_size(len(text) + len(new))
    parts = text.split(old, _whole(index))
    if len(parts) <= _whole(index):
        return text
    return old.join(parts[:-1]) + new + parts[-1]


@function("FIND", "text", "text", "number?", result="number")
def find(wanted: str, text: str, start: float = 0) -> Internal:
    """Position of the first occurrence, 0 when there is none; cares about case."""
    return text.find(wanted, max(_whole(start) - 1, 0)) + 1


@function("SEARCH", "text", "text", "number?", result="number")
def search(wanted: str, text: str, start: float = 0) -> Internal:
    """Position of the first occurrence, blank when there is none; ignores case."""
    # Lower case of single characters, since "İ".lower() is two and would shift what follows.
    position = _folded(text).find(_folded(wanted), max(_whole(start) - 1, 0))
    return position + 1 if position >= 0 else None


def _folded(text: str) -> str:
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(letter.lower()[0] for letter in text)


@function("LOWER", "text", result="text")
def lower(text: str) -> Internal:
    return text.lower()


@function("UPPER", "text", result="text")
def upper(text: str) -> Internal:
    check_size(len(changed := text.upper()))  # capitals can be longer: ß is SS
    return changed


@function("TRIM", "text", result="text")
def trim(text: str) -> Internal:
    return text.strip()


@function("REPT", "text", "number", result="text")
def rept(text: str, number: float) -> Internal:
    count = max(_whole(number), 0)
    check_size(len(text) * count)
    return text * count


@function("T", "any", result="text")
def t(value: Internal) -> Internal:
    """The value if it is text, blank otherwise."""
    value = single(value)
    return value if isinstance(value, str) else None


@function("ENCODE_URL_COMPONENT", "text", result="text")
def encode_url_component(text: str) -> Internal:
    """Percent-encoding of everything but letters, digits and -_.~ (Airtable support: formula field reference)."""
    try:
        encoded = quote(text, safe="")
    except UnicodeEncodeError:  # half of a surrogate pair
        raise Uncomputable from None
    check_size(len(encoded))
    return encoded
