"""Quantities of resources ("500m", "4Gi"), compared by value.

Kubernetes docs: quantities are written back in a normal form, so that "0.5" is read back as "500m".
"""

from __future__ import annotations

import re
from decimal import Decimal

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal("1e3"), "M": Decimal("1e6"), "G": Decimal("1e9"), "T": Decimal("1e12"), "P": Decimal("1e15"),
    "E": Decimal("1e18"),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30}))(?:([numkMGTPE]|[KMGTPE]i)?|[eE]([+-]?\d{1,2}))")


def parse_quantity(text: str) -> Decimal:
    """The value of a quantity. Raises ValueError with a sentence for people."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text[:40]}" is not a quantity; write for example "500m", "4Gi" or "20"')
    number, suffix, exponent = match.groups()
    return Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _SUFFIXES[suffix or ""])


def same_quantity(one: object, other: object) -> bool:
    """Whether both are quantities of one value; the API server may show a number without a suffix as an integer."""
    try:
        return parse_quantity(str(one)) == parse_quantity(str(other))
    except ValueError:
        return False
