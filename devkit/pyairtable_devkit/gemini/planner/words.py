"""Words of a request: stems that make "tasks" and "task" meet, quoted texts, and how well a name fits."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|«([^»]+)»|‘([^’]+)’|`([^`]+)`|(?<!\w)'(.+?)'(?!\w)")
_RECORD_ID = re.compile(r"\brec[A-Za-z0-9]{14}\b")
_BASE_ID = re.compile(r"\bapp[A-Za-z0-9]{14}\b")
_POLITE = re.compile(
    r"^\W*(?:(?:please|now|ok|okay|so|hi|hello|hey|then|(?:can|could|would|will) you(?: please)?|"
    r"i (?:want|need)(?: you)? to|i(?:'d| would) like(?: you)? to|let's)\b[\s,!.]*)+",
    re.IGNORECASE,
)

FILLER = {
    "the", "a", "an", "record", "row", "entry", "item", "new", "named", "called", "titled", "with", "name", "table",
    "our", "my", "all", "every", "it", "them",
}  # fmt: skip

_LEADING_TABLE = re.compile(
    r"^in (?:the )?table (?P<table>'[^']+'|\"[^\"]+\"|\w+),?\s+(?P<rest>\w.*)$", re.IGNORECASE | re.DOTALL
)

# Words that say what a record is about without being its name in the base.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "spend": ("expense", "amount", "cost"),
    "spent": ("expense", "amount", "cost"),
    "money": ("amount", "expense", "cost"),
    "cost": ("expense", "amount"),
    "people": ("employee", "contact", "person"),
    "staff": ("employee",),
    "worker": ("employee",),
    "person": ("employee", "contact"),
    "customer": ("client", "contact"),
    "client": ("customer", "contact"),
    "vendor": ("supplier",),
    "todo": ("task",),
}


def stem(word: str) -> str:
    """A crude stem: "Expenses" -> "expense", "worked" and "working" -> "work", "companies" -> "company"."""
    word = word.lower().removesuffix("'s").replace("'", "")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if len(word) > len(ending) + 3 and word.endswith(ending):
            return word.removesuffix(ending)
    return word


def stems(text: str) -> list[str]:
    """The stems of a text's words, in order."""
    return [stem(word) for word in _WORD.findall(text)]


def with_synonyms(words: Iterable[str]) -> set[str]:
    """The words and what else they may be called."""
    found = set(words)
    return found | {other for word in found for other in SYNONYMS.get(word, ())}


def fit(name: str, words: set[str]) -> float:
    """How well a name fits the words: 0 not at all, above 1 when every word of it is there."""
    parts = stems(name)
    hits = sum(part in words for part in parts)
    if not hits:
        return 0.0
    return hits / len(parts) + 0.2 * hits + (0.3 if parts[-1] in words else 0.0)


def quoted(text: str) -> list[str]:
    """Texts in quotes, in order; an apostrophe inside a word is no quote."""
    return [next(group for group in found if group) for found in QUOTED.findall(text)]


def without_quoted(text: str) -> str:
    """The text with its quoted parts blanked out."""
    return QUOTED.sub(" ", text)


def rest_after(phrase: str, names: str) -> str:
    """A phrase without the words in front that are among `names` or only lead up to what is meant."""
    own = {*stems(names), *FILLER}
    words = phrase.strip().rstrip(".?!").split()
    while len(words) > 1 and ({stem(words[0]), words[0].lower()} & own):
        words.pop(0)
    return "" if words and ({stem(words[0]), words[0].lower()} & own) else " ".join(words)


def record_ids(text: str) -> list[str]:
    """Airtable record ids in a text."""
    return _RECORD_ID.findall(text)


def base_id(text: str) -> str:
    """The first Airtable base id in a text, or ""."""
    found = _BASE_ID.search(text)
    return found.group() if found else ""


def plain_request(text: str) -> str:
    """The request without "please", "can you" and the like in front; "In the table 'X', ..." goes to the end."""
    text = _POLITE.sub("", text).strip()
    leading = _LEADING_TABLE.match(text)
    return f"{leading['rest'].rstrip(' .!')} in the table {leading['table']}" if leading else text


def same(one: str, other: str) -> bool:
    """Whether two names are equal but for case and spaces around them."""
    return one.strip().casefold() == other.strip().casefold()
