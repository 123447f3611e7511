"""Answers that need no tool."""

from __future__ import annotations

import re

SMALL_TALK = (
    r"^\W*(?:who are you|what (?:can|do) you|what are you|help\W*$|how are you|thanks|thank you|(?:hello|hi|hey)\W*$)"
)
_THANKS = re.compile(r"\b(thanks|thank you|cheers)\b", re.IGNORECASE)
_GREETING = re.compile(r"^\W*(hello|hi|hey|good (morning|afternoon|evening))\b", re.IGNORECASE)
_ABOUT = re.compile(SMALL_TALK, re.IGNORECASE)


def small_talk(text: str, *, airtable: bool) -> str:
    """A polite answer to a message that asks for nothing a tool could give; `airtable`: there are tools for bases."""
    if _THANKS.search(text):
        return "You are welcome."
    if _GREETING.search(text):
        return "Hello! I am a Gemini emulator. Ask me about your Airtable bases."
    if _ABOUT.search(text):
        return (
            "I am a Gemini emulator. With the right tools I can list tables, show, search and count records, add up "
            "numbers, and create, change and delete records."
        )
    if airtable:
        return (
            "I did not understand this: I am a Gemini emulator that plans by rules. You could ask, for example, "
            '"How many hours were worked on each project?" or "Create a task \'Order the tiles\'".'
        )
    return (
        "I am a Gemini emulator: I plan tool calls by rules and know nothing by myself. "
        "Without a tool that fits I cannot answer this."
    )
