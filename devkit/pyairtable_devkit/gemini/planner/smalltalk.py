"""Answers that need no tool."""

from __future__ import annotations

import re

_THANKS = re.compile(r"\b(thanks|thank you|cheers)\b", re.IGNORECASE)
_GREETING = re.compile(r"^\W*(hello|hi|hey|good (morning|afternoon|evening))\b", re.IGNORECASE)


def small_talk(text: str) -> str:
    """A polite answer to a message that asks for nothing a tool could give."""
    if _THANKS.search(text):
        return "You are welcome."
    if _GREETING.search(text):
        return "Hello! I am a Gemini emulator. Ask me about your Airtable bases."
    return (
        "I am a Gemini emulator: I plan tool calls by rules and know nothing by myself. "
        "Without a tool that fits I cannot answer this."
    )
