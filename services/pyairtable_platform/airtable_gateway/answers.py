"""Airtable's answers that are not what was asked for: four error envelopes, and what stands in their place. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

NOT_FOUND_OR_FORBIDDEN = "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"
BILLING_LIMIT = "PUBLIC_API_BILLING_LIMIT_EXCEEDED"
EXPIRED_OFFSETS = frozenset({"LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "INVALID_OFFSET_VALUE"})
LONGEST_MESSAGE = 500

_QUOTED = re.compile(r'"+([^"]*)"+')


class Refusal(Exception):
    """Airtable answered, and the answer is no."""

    def __init__(self, status: int, kind: str = "", message: str = "", retry_after: float | None = None) -> None:
        super().__init__(f"{status} {kind}")
        self.status = status
        self.kind = kind
        """Airtable's type, for example UNKNOWN_FIELD_NAME; empty when it gave none."""
        self.message = message
        self.retry_after = retry_after

    @property
    def text(self) -> str:
        """What Airtable said, in a form for people."""
        return self.message or self.kind.replace("_", " ").lower() or f"HTTP status {self.status}"

    @property
    def is_rate_limit(self) -> bool:
        return self.status == 429 and not self.is_billing_limit

    @property
    def is_billing_limit(self) -> bool:
        return self.status == 429 and self.kind == BILLING_LIMIT

    @property
    def is_trouble(self) -> bool:
        """Airtable itself is unwell; the request may be right."""
        return self.status >= 500

    def quoted(self) -> str:
        """The name that the message quotes, for example of a field; empty when there is none."""
        found = _QUOTED.search(self.message)
        return found.group(1) if found else ""


class NoAnswer(Exception):
    """No usable answer came."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.text = text
        self.sent = sent
        """True: the call may have arrived and been carried out."""


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an error answer, whatever its form."""
    kind, message = _kind_and_message(_parsed(body))
    return Refusal(status, kind[:100], message[:LONGEST_MESSAGE], _retry_after(headers.get("retry-after", "")))


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None  # a proxy's HTML page; the status says enough


def _kind_and_message(parsed: Any) -> tuple[str, str]:
    """Object with type and maybe message, bare string, or a plural list (seen for 429)."""
    if not isinstance(parsed, dict):
        return "", ""
    error = parsed.get("error")
    several = parsed.get("errors")
    if error is None and isinstance(several, list) and several:
        error = several[0]
    if isinstance(error, str):
        return error, _string(parsed.get("message"))
    if isinstance(error, dict):
        return _string(error.get("type") or error.get("error")), _string(error.get("message"))
    return "", ""


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _retry_after(text: str) -> float | None:
    """Seconds; the form with a date is not used by Airtable and is ignored."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e6 else None
