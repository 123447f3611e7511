"""Names that sagas choose from what people wrote."""

from __future__ import annotations

import re
import unicodedata


def dns_label(text: str, longest: int) -> str:
    """A DNS label that resembles a text: "Åsa.B" -> "asa-b". Empty where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:longest].strip("-")
