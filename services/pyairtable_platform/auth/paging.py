"""Places in listings that go from the newest to the oldest, as texts."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from pyairtable_platform.common.errors import InvalidInput, Reason


def to_token(created_at: datetime, key_id: str) -> str:
    """The place behind a key in a listing."""
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {key_id}".encode()).decode()


def from_token(token: str) -> tuple[datetime, str]:
    """The place that a token names."""
    try:
        created_at, _, key_id = base64.urlsafe_b64decode(token).decode().partition(" ")
        return datetime.fromisoformat(created_at).astimezone(UTC), key_id
    except (ValueError, OverflowError, binascii.Error) as error:
        raise InvalidInput.at("page_token", "is not one of ours", reason=Reason.PAGE_TOKEN_INVALID) from error
