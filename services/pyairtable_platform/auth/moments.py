"""Times in messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf import timestamp_pb2

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.values import from_timestamp


def moment(message: Any, field: str, path: str = "") -> datetime | None:
    """A time that may not be set."""
    if not message.HasField(field):
        return None
    stamp: timestamp_pb2.Timestamp = getattr(message, field)
    try:
        return from_timestamp(stamp)
    except (ValueError, OverflowError) as error:
        raise InvalidInput.at(path or field, "is no time that can be kept") from error
