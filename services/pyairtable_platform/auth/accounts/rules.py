"""Addresses and names of people: what they may look like, and which of them are the same. Pure.

Two spellings are the same when they fold to the same text: NFKC and case folding (Unicode Standard 3.13, D147), and for
domains the form that DNS knows.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

from pyairtable_platform.common.errors import InvalidInput

LONGEST_EMAIL = 254
LONGEST_LOCAL_PART = 64
SHORTEST_NAME = 3
LONGEST_NAME = 40

_IPV6_NETWORK = 64
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# The two standards of international domains mean different domains by these (RFC 5894, 7.2): whoever owned one of
# them would get the letters of the other.
_AMBIGUOUS = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")
_PUNCTUATION = ".-_"
_FORBIDDEN_IN_TEXT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def folded(text: str) -> str:
    """The form in which equal texts are equal, whatever their case and way of writing."""
    previous, text = "", unicodedata.normalize("NFKC", text)
    while text != previous:  # some letters take a second pass
        previous, text = text, unicodedata.normalize("NFKC", text.casefold())
    return text


def valid_email(text: str) -> str:
    """An address as it is kept: as it was written, but in one way of writing. Raises InvalidInput."""
    email = unicodedata.normalize("NFKC", text.strip())
    local, _, domain = email.rpartition("@")
    if len(email) > LONGEST_EMAIL or len(local) > LONGEST_LOCAL_PART or not _LOCAL_PART.fullmatch(local):
        raise InvalidInput.at("email", "is no e-mail address: it looks like name@example.com")
    _ascii_domain(domain)
    return email


def folded_email(email: str) -> str:
    """What is equal for addresses that differ in case or in the way their domain is written. Raises InvalidInput."""
    local, _, domain = valid_email(email).rpartition("@")
    return f"{local.lower()}@{_ascii_domain(domain)}"


def deliverable(email: str) -> str:
    """An address as mail servers without SMTPUTF8 take it: the domain in the form that DNS knows."""
    local, _, domain = email.rpartition("@")
    return f"{local}@{_ascii_domain(domain)}"


def valid_user_name(text: str) -> str:
    """A user name as it is kept. Raises InvalidInput."""
    name = unicodedata.normalize("NFKC", text.strip())
    sane = all(is_letter_or_digit(character) or character in _PUNCTUATION for character in name)
    if not SHORTEST_NAME <= len(name) <= LONGEST_NAME or not sane or unicodedata.category(name[0])[0] not in "LN":
        raise InvalidInput.at(
            "user_name",
            f"must be {SHORTEST_NAME} to {LONGEST_NAME} letters, digits, dots, hyphens and underscores, "
            "and begin with a letter or digit",
        )
    return name


def user_name_from(email: str) -> str:
    """A user name made from an address."""
    local = email.rpartition("@")[0].partition("+")[0]
    kept = "".join(
        character if is_letter_or_digit(character) or character in _PUNCTUATION else "-" for character in local
    )
    kept = kept.lstrip(_PUNCTUATION)[:LONGEST_NAME]
    return kept if len(kept) >= SHORTEST_NAME else f"user-{kept}".rstrip("-")


def with_suffix(name: str, suffix: str) -> str:
    """A user name in the place of one that is taken."""
    return f"{name[: LONGEST_NAME - len(suffix) - 1]}-{suffix}"


def valid_display_name(text: str) -> str:
    """A name for people: one line, without characters that show nothing or turn the line around."""
    name = unicodedata.normalize("NFC", " ".join(text.split()))
    if any(unicodedata.category(character) in _FORBIDDEN_IN_TEXT - {"Cf"} for character in name) or _hides(name):
        raise InvalidInput.at("display_name", "holds characters that cannot be shown")
    return name


def is_letter_or_digit(character: str) -> bool:
    """Letters of any script with their marks, and decimal digits."""
    return unicodedata.category(character) in ("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd")


def folded_login(text: str) -> str:
    """What stands for the account that somebody names at login, whether there is such an account or not."""
    text = text.strip().replace("\0", "\ufffd")  # PostgreSQL takes no U+0000, and no account has one
    if "@" not in text:
        return folded(text)
    try:
        return folded_email(text)
    except InvalidInput:
        return folded(text)


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of IPv6 that one household or machine has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    if mapped is not None or parsed.version == 4:
        return str(mapped or parsed)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK), strict=False))


def _hides(name: str) -> bool:
    # Joiners (ZWJ, ZWNJ) belong to the writing of some languages; the other format characters only deceive.
    return any(unicodedata.category(character) == "Cf" and character not in "\u200c\u200d" for character in name)


def _ascii_domain(domain: str) -> str:
    """A domain as DNS knows it; raises InvalidInput."""
    wrong = InvalidInput.at("email", "has no domain that letters can be sent to, such as example.com")
    text = folded(domain) if not _AMBIGUOUS & set(domain) else ""
    try:
        ascii_text = text.encode("idna").decode().lower()
    except UnicodeError as error:
        raise wrong from error
    labels = ascii_text.split(".")
    if len(labels) < 2 or len(ascii_text) > 253 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise wrong
    return ascii_text
