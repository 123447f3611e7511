"""Letters as they came: one per Message-ID, with how often each was delivered."""

from __future__ import annotations

import asyncio
import email
import email.policy
import hashlib
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

KEPT = 2000
"""Letters; the oldest go first."""


@dataclass(slots=True)
class Letter:
    """A letter. `deliveries` above 1: the same Message-ID came again; `contents` above 1: with another text."""

    id: str
    message_id: str
    sender: str
    recipients: list[str]
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    received_at: float
    """Seconds since 1970, of the first delivery."""
    deliveries: int = 1
    digests: set[bytes] = field(default_factory=set)

    def as_dict(self) -> dict[str, Any]:
        """The letter as JSON."""
        return {
            "id": self.id,
            "message_id": self.message_id,
            "from": self.sender,
            "to": self.recipients,
            "subject": self.subject,
            "text": self.text,
            "html": self.html,
            "headers": self.headers,
            "received_at": self.received_at,
            "deliveries": self.deliveries,
            "contents": len(self.digests),
        }


class Letters:
    """The letters of a mailbox. Everything happens in one event loop."""

    def __init__(self) -> None:
        self._kept: deque[Letter] = deque(maxlen=KEPT)
        self._by_message_id: dict[str, Letter] = {}
        self._changed = asyncio.Condition()
        self._last = 0

    async def deliver(self, sender: str, recipients: Sequence[str], content: bytes) -> Letter:
        """Keep a letter, or count it when one of its Message-ID is there."""
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        shown = "\0".join(
            [str(parsed["Subject"]), body(parsed, "plain"), body(parsed, "html")]
        )  # boundaries are random
        letter = self._by_message_id.get(str(parsed["Message-ID"] or "").strip())
        if letter is None:
            letter = self._keep(parsed, sender)
        else:
            letter.deliveries += 1
        letter.recipients += [address for address in recipients if address not in letter.recipients]
        letter.digests.add(hashlib.sha256(shown.encode()).digest())
        async with self._changed:
            self._changed.notify_all()
        return letter

    def _keep(self, parsed: EmailMessage, sender: str) -> Letter:
        self._last += 1
        letter = Letter(
            id=str(self._last),
            message_id=str(parsed["Message-ID"] or "").strip(),
            sender=sender,
            recipients=[],
            subject=str(parsed["Subject"] or ""),
            text=body(parsed, "plain"),
            html=body(parsed, "html"),
            headers={name: str(value) for name, value in parsed.items()},
            received_at=time.time(),
        )
        if len(self._kept) == KEPT:
            self._by_message_id.pop(self._kept[0].message_id, None)
        self._kept.append(letter)
        if letter.message_id:
            self._by_message_id[letter.message_id] = letter
        return letter

    def find(self, to: str = "", after: int = 0) -> list[Letter]:
        """Letters to an address (any case; empty is all) that came after the one of this id, the oldest first."""
        return [letter for letter in self._kept if int(letter.id) > after and is_to(letter, to)]

    async def wait(self, to: str, after: int, seconds: float) -> list[Letter]:
        """As `find`; waits until there is one, but no longer than so many seconds."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self.find(to, after))
        except TimeoutError:
            return []
        return self.find(to, after)

    def get(self, id: str) -> Letter | None:
        """One letter by its id."""
        return next((letter for letter in self._kept if letter.id == id), None)

    def clear(self) -> int:
        """Forget all letters; returns how many there were. Ids go on."""
        count = len(self._kept)
        self._kept.clear()
        self._by_message_id.clear()
        return count


def is_to(letter: Letter, address: str) -> bool:
    """Whether a letter went to an address; empty is any."""
    return not address or any(one.casefold() == address.casefold() for one in letter.recipients)


def body(parsed: EmailMessage, kind: str) -> str:
    """The text of a letter in one form (plain, html); empty when it has none."""
    part = parsed.get_body(preferencelist=(kind,))
    return "" if part is None else str(part.get_content())
