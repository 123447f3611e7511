"""From a request to a reply."""

from __future__ import annotations

from pyairtable_devkit.gemini.planner.smalltalk import small_talk
from pyairtable_devkit.gemini.reply import Reply
from pyairtable_devkit.gemini.request import GenerateRequest


def plan(request: GenerateRequest, *, obey_injection: bool = False) -> Reply:
    """What the model says next in this conversation."""
    return Reply(text=small_talk(request.user_text), thoughts="No tool is needed for this.")
