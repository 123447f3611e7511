"""Which fields a request sets: what its FieldMask names, else what the RPC says about none (AIP-134)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pyairtable_platform.common.errors import InvalidInput

EVERYTHING = "*"


def named_fields(paths: Sequence[str], known: Collection[str]) -> list[str]:
    """The fields that a mask names, in the order of `known`; raises InvalidInput for a path that is none of them."""
    for path in paths:
        if path != EVERYTHING and path not in known:
            raise InvalidInput.at("update_mask", f'"{path}" is no field that can be set; there are: {", ".join(known)}')
    if EVERYTHING in paths:
        return list(known)
    return [name for name in known if name in paths]


def set_fields(message: Any, known: Collection[str]) -> list[str]:
    """The fields that are not empty."""
    return [name for name in known if getattr(message, name)]
