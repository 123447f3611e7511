"""What the "model" says, before it is put on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pyairtable_devkit.gemini.request import Call

FINISH_REASONS = (
    "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
)  # fmt: skip
BLOCK_REASONS = ("SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "JAILBREAK")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: text, or calls, or both; or none, with a finish or block reason that says why."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    thoughts: str = ""
    finish: str = "STOP"
    finish_message: str = ""
    block: str = ""
    usage: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an answer travels: late, in raw chunks, or cut."""

    delay: float = 0.0
    chunk_delay: float = 0.0
    cut_after: int | None = None
    raw_chunks: tuple[Any, ...] = ()
