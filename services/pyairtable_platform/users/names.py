"""How people are found by their names: folded texts, words, the order of listings and its page tokens.

Folding makes equal what people take for equal: case, accents, full-width and other forms of a letter (NFKD). It happens
here, so that order and search do not depend on the collations that a PostgreSQL has.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata

from pyairtable_platform.common.errors import InvalidInput, Reason

from .records import Place, Profile

LONGEST_SORT_NAME = 90
"""Bytes of UTF-8, so that a page token stays below the contract's 256 characters. Longer names are equal beyond it."""

MOST_WORDS = 20
LONGEST_WORD = 200
"""Characters. Search words are cut alike, so that what is longer is found too."""

_WORD = re.compile(r"[^\W_]+")
_SEPARATOR = "\0"


def fold(text: str) -> str:
    """A text in the form in which names are compared."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def sort_name(display_name: str) -> str:
    """What a person is listed by."""
    # A text of PostgreSQL holds no U+0000, which separates the parts of a page token.
    folded = fold(display_name).replace(_SEPARATOR, "").encode()
    return folded[:LONGEST_SORT_NAME].decode(errors="ignore")


def words(text: str) -> list[str]:
    """The words of a text, folded, each once."""
    return list(dict.fromkeys(word[:LONGEST_WORD] for word in _WORD.findall(fold(text))))[:MOST_WORDS]


def words_of(profile: Profile) -> list[str]:
    """The words by which a person is found."""
    return list(dict.fromkeys([*words(profile.display_name), *words(profile.user_name), *words(profile.email)]))


def to_token(place: Place, search: str, with_deleted: bool) -> str:
    """The page token of a place in one listing."""
    text = _SEPARATOR.join([_listing(search, with_deleted), place.user_id, place.sort_name])
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def from_token(token: str, search: str, with_deleted: bool) -> Place:
    """The place that a token names; raises InvalidInput for one that is not ours or of another listing."""
    try:
        padded = token + "=" * (-len(token) % 4)
        parts = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split(_SEPARATOR)
    except (ValueError, binascii.Error) as error:
        raise _invalid("is not one of ours") from error
    if len(parts) != 3:
        raise _invalid("is not one of ours")
    listing, user_id, name = parts
    if listing != _listing(search, with_deleted):
        raise _invalid("is of another listing: keep search and with_deleted as they were, or begin without a token")
    return Place(name, user_id)


def _listing(search: str, with_deleted: bool) -> str:
    return hashlib.sha256(f"{with_deleted} {' '.join(words(search))}".encode()).hexdigest()[:8]


def _invalid(why: str) -> InvalidInput:
    return InvalidInput.at("page_token", why, reason=Reason.PAGE_TOKEN_INVALID)
