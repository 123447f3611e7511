"""One event, and how it stands in a stream."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson


@dataclass(frozen=True)
class Event:
    """Something that happened, told to whoever wants to know.

    `type` is a versioned name (`workspace.member_joined.v1`); `subject` is the id of what it happened to, within which
    events keep their order; `workspace` is empty when it concerns none; `principal` is who did it; `data` is JSON.
    """

    type: str
    subject: str
    workspace: str = ""
    principal: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    event_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    occurred_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_fields(self) -> dict[str, str]:
        """The entry of a stream."""
        return {
            "event_id": self.event_id,
            "type": self.type,
            "subject": self.subject,
            "workspace": self.workspace,
            "principal": self.principal,
            "occurred_at": self.occurred_at.isoformat(),
            "data": orjson.dumps(dict(self.data)).decode(),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> Event:
        """Read the entry of a stream; raises ValueError for what is none of ours. Unknown fields are passed over."""
        try:
            texts = {name: fields[name.encode()].decode() for name in _TEXTS}
            data = orjson.loads(fields[b"data"])
            occurred_at = datetime.fromisoformat(fields[b"occurred_at"].decode())
        except KeyError as error:
            raise ValueError(f"the entry has no field {error}") from error
        if not isinstance(data, dict):
            raise ValueError("the entry's data are no object")  # noqa: TRY004 - of the text, not of an argument
        return cls(**texts, data=data, occurred_at=occurred_at)


_TEXTS = ("event_id", "type", "subject", "workspace", "principal")


def stream_of(area: str) -> str:
    """The stream of an area: user, workspace or saga."""
    return f"events:{area}"


def set_aside_of(area: str, group: str) -> str:
    """The stream of events that a group could not handle."""
    return f"events:{area}:set-aside:{group}"
