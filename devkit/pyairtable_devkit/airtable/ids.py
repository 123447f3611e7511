"""Airtable ids: a three-letter prefix and 14 base-62 characters (Airtable docs: "Airtable API IDs").

Length and alphabet are what is observed, not what Airtable promises.
"""

import hashlib
import random
import re
import string

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
SUFFIX_LENGTH = 14
_AS_LETTERS = bytes(ord(ALPHABET[byte % len(ALPHABET)]) for byte in range(256))
_SHAPE = re.compile(r"[a-z]{3}[0-9A-Za-z]{14}\Z")


def is_id(text: str, prefix: str) -> bool:
    """Whether the text has the shape of an id with this prefix, such as `rec` or `tbl`."""
    return text.startswith(prefix) and _SHAPE.match(text) is not None


def stable_id(prefix: str, *path: object) -> str:
    """The id that belongs to this path in every run, so that seeds give the same ids each time."""
    digest = hashlib.sha256("\x1f".join(map(str, path)).encode()).digest()
    return prefix + digest[:SUFFIX_LENGTH].translate(_AS_LETTERS).decode()


class IdFactory:
    """Gives ids for what is created at run time; the same seed gives the same series."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def new(self, prefix: str) -> str:
        """A fresh id, for example `new("rec")`."""
        return prefix + "".join(self._random.choices(ALPHABET, k=SUFFIX_LENGTH))
